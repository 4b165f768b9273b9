"""The canonical meter table: readings on a regular grid, gaps as nulls. Numpy only, for it travels the path of an answer."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.clock import Instants, zone_of
from wattcast.meter.known import KnownColumn

Values = npt.NDArray[np.float32]
Flow = Literal["consumption", "net"]

MINUTE_S = 60
METER_ID = r"^[a-z0-9][a-z0-9._-]{0,99}$"
METER_ID_IN_WORDS = "has small letters, digits, dots, dashes and underscores, and begins with a letter or digit"
# Twenty times four years of minutes: more is no meter table of ours.
_LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class Meter:
    """Which meter readings belong to, and how its clock and its sign are to be read.

    zone: IANA name or fixed offset; flow: "net" where negative load is possible; holidays: country, or country-subdivision, or "".
    """

    id: str
    zone: str = "UTC"
    flow: Flow = "consumption"
    holidays: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        zone_of(self.zone)


@dataclass(frozen=True, eq=False)
class MeterTable:
    """Readings of one meter: one row per step of `step_s` seconds, row i covering [start_s + i*step_s, + step_s), UTC epoch seconds.

    power_kw: mean power of the row, shape (n,). covariates: further measured columns by name, same shape. NaN = not measured.
    known: columns known ahead, by name, on steps of their own, before the first row and after the last too.
    """

    meter: Meter
    start_s: int
    step_s: int
    power_kw: Values
    covariates: Mapping[str, Values] = field(default_factory=dict)
    known: Mapping[str, KnownColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.power_kw)

    @property
    def end_s(self) -> int:
        """The instant at which the last row has ended: the latest possible origin."""
        return self.start_s + len(self) * self.step_s

    def instants(self) -> Instants:
        """The start of every row, UTC epoch seconds, shape (n,)."""
        return self.start_s + np.arange(len(self), dtype=np.int64) * self.step_s

    def columns(self) -> dict[str, Values]:
        """`power_kw` and the covariates, by name."""
        return {"power_kw": self.power_kw, **self.covariates}

    def rows(self, first: int, stop: int) -> MeterTable:
        """Rows first to stop - 1, cut to those that exist.

        Columns known ahead keep all their steps, less what became known after the end of the last row: no origin among them sees it.
        """
        first, stop = max(first, 0), min(max(stop, 0), len(self))
        if (first, stop) == (0, len(self)) and not self.known:
            return self
        power_kw, start_s = self.power_kw[first:stop], self.start_s + first * self.step_s
        end_s = start_s + len(power_kw) * self.step_s
        covariates = {name: values[first:stop] for name, values in self.covariates.items()}
        known = {name: column.known_by(end_s) for name, column in self.known.items()}
        return replace(self, start_s=start_s, power_kw=power_kw, covariates=covariates, known=known)

    def last(self, count: int) -> MeterTable:
        """The last `count` rows, and of the columns known ahead the steps from the first of them on: what is kept to answer from."""
        kept = self.rows(len(self) - count, len(self))
        return replace(kept, known={name: column.since(kept.start_s) for name, column in kept.known.items()})

    def with_known(self, known: Mapping[str, KnownColumn]) -> MeterTable:
        """The table with these columns known ahead. Raises BadMeterFile for a name that a measured column has."""
        if twice := sorted(known.keys() & self.columns().keys()):
            raise BadMeterFile(
                f'"{twice[0]}" is a column of the meter file and known ahead too', "give it another name in one of the files"
            )
        return replace(self, known=dict(known))

    def until(self, origin_s: int) -> MeterTable:
        """The rows that had ended by `origin_s`: what was known then."""
        return self.rows(0, (origin_s - self.start_s) // self.step_s)

    def last_measured_s(self) -> int | None:
        """The end of the last row with a measured power, or None where none was measured."""
        end, span = len(self), 64
        if end and np.isfinite(self.power_kw[-1]):
            return self.end_s
        while end > 0:
            # From the end on, for it is near there.
            first = max(end - span, 0)
            measured = np.flatnonzero(np.isfinite(self.power_kw[first:end]))
            if measured.size:
                return self.start_s + (first + int(measured[-1]) + 1) * self.step_s
            end, span = first, span * 8
        return None

    def sha256(self) -> str:
        """A hash of every value, name and time in the table."""
        digest = hashlib.sha256(json.dumps([asdict(self.meter), self.start_s, self.step_s, list(self.covariates)]).encode())
        for values in self.columns().values():
            digest.update(values.astype("<f4").tobytes())
        for name, column in self.known.items():
            digest.update(json.dumps([name, column.step_s, len(column.values)]).encode())
            for array in _plain(column).values():
                digest.update(array.tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """The table as one deterministic byte string (numpy's zip of plain arrays; reading it back runs no code)."""
        facts = {"meter": asdict(self.meter), "start_s": self.start_s, "step_s": self.step_s, "covariates": list(self.covariates)}
        if self.known:
            facts["known"] = {name: column.step_s for name, column in self.known.items()}
        arrays: dict[str, Any] = {"facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)}
        arrays["columns"] = np.stack([np.asarray(values, dtype="<f4") for values in self.columns().values()])
        for name, column in self.known.items():
            arrays |= {f"{name}.{part}": array for part, array in _plain(column).items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> MeterTable:
        """The table that `to_bytes` wrote. Raises BadMeterFile when the bytes are something else."""
        try:
            _refuse_large(data)
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                facts = json.loads(arrays["facts"].tobytes())
                columns = arrays["columns"].astype(np.float32, copy=False)
                known = {name: _known_column(arrays, name, step_s) for name, step_s in facts.get("known", {}).items()}
            covariates = dict(zip(facts["covariates"], columns[1:], strict=True))
            return cls(Meter(**facts["meter"]), facts["start_s"], facts["step_s"], columns[0], covariates, known)
        except (ValueError, LookupError, TypeError, RuntimeError, OSError, EOFError, BadParams, zipfile.BadZipFile, zlib.error) as cause:
            raise BadMeterFile("these bytes are not a meter table", "run the pipeline again: it writes them anew") from cause


def _plain(column: KnownColumn) -> dict[str, npt.NDArray[np.generic]]:
    """What `to_bytes` writes of a column known ahead."""
    starts, moments = column.start_s.astype("<i8"), column.available_s.astype("<i8")
    return {"start_s": starts, "available_s": moments, "values": column.values.astype("<f4")}


def _known_column(arrays: Mapping[str, npt.NDArray[np.generic]], name: str, step_s: int) -> KnownColumn:
    starts, moments = (arrays[f"{name}.{part}"].astype(np.int64, copy=False) for part in ("start_s", "available_s"))
    return KnownColumn.of(starts, moments, arrays[f"{name}.values"].astype(np.float32, copy=False), int(step_s))


def _refuse_large(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
            raise BadMeterFile("this meter table unpacks to more than 1 GB", "run the pipeline again: it writes it anew")
