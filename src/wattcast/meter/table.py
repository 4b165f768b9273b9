"""The canonical meter table: readings on a regular grid, gaps as nulls. Numpy only, for it travels the path of an answer."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.clock import Instants, zone_of

Values = npt.NDArray[np.float32]
Flow = Literal["consumption", "net"]

MINUTE_S = 60
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
    """

    meter: Meter
    start_s: int
    step_s: int
    power_kw: Values
    covariates: Mapping[str, Values] = field(default_factory=dict)

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
        """Rows first to stop - 1, cut to those that exist."""
        first, stop = max(first, 0), min(max(stop, 0), len(self))
        cut = {name: values[first:stop] for name, values in self.covariates.items()}
        return replace(self, start_s=self.start_s + first * self.step_s, power_kw=self.power_kw[first:stop], covariates=cut)

    def until(self, origin_s: int) -> MeterTable:
        """The rows that had ended by `origin_s`: what was known then."""
        return self.rows(0, (origin_s - self.start_s) // self.step_s)

    def last_measured_s(self) -> int | None:
        """The end of the last row with a measured power, or None where none was measured."""
        measured = np.flatnonzero(np.isfinite(self.power_kw))
        return None if measured.size == 0 else self.start_s + (int(measured[-1]) + 1) * self.step_s

    def sha256(self) -> str:
        """A hash of every value, name and time in the table."""
        digest = hashlib.sha256(json.dumps([asdict(self.meter), self.start_s, self.step_s, list(self.covariates)]).encode())
        for values in self.columns().values():
            digest.update(values.astype("<f4").tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """The table as one deterministic byte string (numpy's zip of plain arrays; reading it back runs no code)."""
        facts = {"meter": asdict(self.meter), "start_s": self.start_s, "step_s": self.step_s, "covariates": list(self.covariates)}
        columns = np.stack([np.asarray(values, dtype="<f4") for values in self.columns().values()])
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), columns=columns)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> MeterTable:
        """The table that `to_bytes` wrote. Raises BadMeterFile when the bytes are something else."""
        try:
            _refuse_large(data)
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                facts = json.loads(arrays["facts"].tobytes())
                columns = arrays["columns"].astype(np.float32, copy=False)
            names = facts["covariates"]
            return cls(Meter(**facts["meter"]), facts["start_s"], facts["step_s"], columns[0], dict(zip(names, columns[1:], strict=True)))
        except (ValueError, LookupError, TypeError, RuntimeError, OSError, EOFError, BadParams, zipfile.BadZipFile, zlib.error) as cause:
            raise BadMeterFile("these bytes are not a meter table", "run the pipeline again: it writes them anew") from cause


def _refuse_large(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
            raise BadMeterFile("this meter table unpacks to more than 1 GB", "run the pipeline again: it writes it anew")
