"""The bundle: one model file. It is data, never code: a zip of a manifest, ONNX heads, and the same heads in their library's own format.

Written deterministically (same inputs, same bytes) and named by the SHA-256 of its bytes; opened only when every hash holds.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from wattcast.errors import BadBundle
from wattcast.forecasting.day_totals import DayTotals, Total
from wattcast.forecasting.features import Features, build_features, glance
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.intervals import Calibration
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.table import Meter, MeterTable

Array = npt.NDArray[np.float32]

FORMAT = 1
SUFFIX = ".wattcast"
_MANIFEST, _GOLDEN = "manifest.json", "golden.npz"
_LARGEST_BYTES = 512 * 1024 * 1024
_AGAIN = "run the pipeline again (make run), or answer from another bundle"


@dataclass(frozen=True)
class ModelFacts:
    """One model of a bundle: its features, its calibration, how it did inside the training span, and the files of its native heads.

    totals: what it says of the energy and the peak of a day, where its forecasts are that long.
    """

    name: str
    least_readings: int
    spec: FeatureSpec
    calibration: Calibration
    validation: Score
    native: tuple[str, ...]
    totals: DayTotals | None = None

    def needs(self, title: str) -> str:
        """What must have been measured for the model to answer, in words."""
        if self.spec.target != "change":
            return f"{title} needs {self.least_readings} measured readings"
        others = f" and {self.least_readings - 1} more" if self.least_readings > 1 else ""
        return f"{title} needs the last reading before the origin{others}"

    @property
    def graph(self) -> str:
        """The member of the zip that holds the model's ONNX heads."""
        return f"{self.name}/heads.onnx"


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself. Times are UTC epoch seconds; `files` maps every other member of the zip to its SHA-256."""

    format: int
    task: str
    family: str
    meter: Meter
    step_s: int
    horizon: int
    levels: tuple[float, ...]
    models: tuple[ModelFacts, ...]
    baselines: tuple[str, ...]
    train_start_s: int
    train_end_s: int
    train_rows: int
    largest_kw: float
    data_sha256: str
    params: Mapping[str, Any]
    versions: Mapping[str, str]
    files: Mapping[str, str]


_ADAPTER = TypeAdapter(Manifest)


@dataclass(frozen=True, eq=False)
class Model:
    """One model of an opened bundle, ready to answer."""

    facts: ModelFacts
    heads: Heads

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Mean (rows,) and calibrated quantiles (rows, levels) in kW for rows built with this model's spec; NaN without a base."""
        values = self.values(features)
        return values[:, 0], values[:, 1:]

    def values(self, features: Features) -> Array:
        """Mean and calibrated quantiles in kW side by side, shape (rows, 1 + levels)."""
        values: Array = features.in_kw(self.heads(features.matrix))
        self.facts.calibration.apply(values[:, 1:], features.target_s, out=values[:, 1:])
        return values

    def totals(self, mean: Array, quantiles: Array, least_kw: float) -> dict[str, Total] | None:
        """Energy and peak of the day that the forecast begins with, none below what the meter can have; None for less than a day."""
        found = self.facts.totals.apply(mean, quantiles, self.facts.spec.step_s) if self.facts.totals else None
        if found is None:
            return None
        return {
            name: Total(
                mean=max(total["mean"], least_kw), quantiles={level: max(value, least_kw) for level, value in total["quantiles"].items()}
            )
            for name, total in found.items()
        }

    def can_answer(self, table: MeterTable, row: int) -> bool:
        """Whether enough was measured before `row`, the last reading included where the heads count from it."""
        power = table.power_kw[max(row - self.facts.spec.history_steps, 0) : row]
        measured = np.isfinite(power)
        enough = np.count_nonzero(measured) >= self.facts.least_readings
        return bool(enough and (self.facts.spec.target != "change" or measured[-1]))

    def forecast(self, table: MeterTable, row: int) -> tuple[Array, Array]:
        """Mean (horizon,) and quantiles (horizon, levels) in kW from the origin at the start of `row` of the table."""
        values = self.values_at(table, row)
        return values[:, 0], values[:, 1:]

    def values_at(self, table: MeterTable, row: int) -> Array:
        """The same side by side, shape (horizon, 1 + levels)."""
        spec = self.facts.spec
        if not spec.glances:
            return self.values(build_features(table.rows(0, row), np.array([row]), spec))
        matrix, base_kw = glance(table.rows(0, row), row, spec)
        values: Array = self.heads(matrix) + np.float32(base_kw)
        self.facts.calibration.apply(values[:, 1:], np.array([table.start_s + row * table.step_s]), out=values[:, 1:])
        return values


@dataclass(frozen=True, eq=False)
class Bundle:
    """An opened bundle. data: the bytes of its file; id: their SHA-256. Its heads are loaded when first asked for."""

    id: str
    manifest: Manifest
    members: Mapping[str, bytes]
    data: bytes
    threads: int = 1

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The models, richest first. Raises BadBundle when a graph is refused."""
        return tuple(self._model(facts) for facts in self.manifest.models)

    def _model(self, facts: ModelFacts) -> Model:
        heads = Heads(self.members[facts.graph], threads=self.threads)
        if heads.features != len(facts.spec.names):
            raise BadBundle(f"model {facts.name} takes {heads.features} features, its spec makes {len(facts.spec.names)}", _AGAIN)
        if heads.heads != 1 + len(self.manifest.levels):
            raise BadBundle(f"model {facts.name} has {heads.heads} heads for {len(self.manifest.levels)} quantiles and a mean", _AGAIN)
        return Model(facts, heads)

    @property
    def golden(self) -> MeterTable:
        """Readings kept for replay: the forecasts from their end are written in the registry's record."""
        return MeterTable.from_bytes(self.members[_GOLDEN])

    def golden_forecasts(self) -> dict[str, list[list[float]]]:
        """For every model its forecast from the end of the last golden reading: per lead the mean, then the quantiles, kW."""
        table = self.golden
        row = len(table.until(table.last_measured_s() or table.end_s))
        forecasts = {model.facts.name: model.forecast(table, row) for model in self.models}
        return {name: np.column_stack(parts).astype(float).round(6).tolist() for name, parts in forecasts.items()}

    def replay(self, expected: Mapping[str, list[list[float]]], tolerance_kw: float = 1e-4) -> None:
        """Raise BadBundle unless the golden forecasts are those of the record."""
        try:
            got = self.golden_forecasts()
        except BadBundle:
            raise
        except Exception as cause:  # whatever a manifest that fits no model leads to: it comes out here, not in an answer
            raise BadBundle(f"bundle {self.id[:12]} cannot forecast its own golden readings ({cause!r:.200})", _AGAIN) from cause
        for name in got.keys() | expected.keys():
            ours, theirs = np.array(got.get(name, [])), np.array(expected.get(name, []))
            if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=tolerance_kw, equal_nan=True):
                raise BadBundle(f"bundle {self.id[:12]} does not forecast what its record says (model {name})", _AGAIN)


def pack(manifest: Manifest, members: Mapping[str, bytes], golden: MeterTable) -> bytes:
    """The bytes of a bundle. members: name -> bytes, without the manifest; `manifest.files` is filled in here."""
    everything = {**members, _GOLDEN: golden.to_bytes()}
    facts = asdict(manifest) | {"files": {name: _sha256(data) for name, data in sorted(everything.items())}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in [(_MANIFEST, json.dumps(facts, indent=1, sort_keys=True).encode()), *sorted(everything.items())]:
            # A fixed date and no trace of the machine: the same inputs give the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(entry, data)
    return buffer.getvalue()


def open_bundle(data: bytes, *, expected_id: str = "", threads: int = 1, native: bool = False) -> Bundle:
    """The bundle in these bytes. native: read the learners' own files too, which answering does not need.

    Raises BadBundle when the bytes are not the bundle called `expected_id`, are torn or altered, or have a format we do not read.
    """
    identity = _sha256(data)
    if expected_id and identity != expected_id:
        raise BadBundle(f"the file is not bundle {expected_id[:12]}: its SHA-256 is {identity[:12]}, so it was altered or torn", _AGAIN)
    try:
        manifest, members = _unpacked(data, native=native)
    except BadBundle:
        raise
    except Exception as cause:  # zipfile, its decompressors, json and pydantic have no common base class for what they raise
        said = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise BadBundle(f"the file is not a whole {SUFFIX} bundle ({said})", _AGAIN) from cause
    for name, content in members.items():
        if _sha256(content) != manifest.files[name]:
            raise BadBundle(f"member {name} was altered: its SHA-256 is not the manifest's", _AGAIN)
    return Bundle(identity, manifest, members, data, threads)


def _unpacked(data: bytes, *, native: bool) -> tuple[Manifest, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
            raise BadBundle("the file unpacks to more than 512 MB", _AGAIN)
        facts = json.loads(archive.read(_MANIFEST))
        _refuse_foreign_format(facts)
        manifest = _ADAPTER.validate_python(facts)
        names = set(archive.namelist()) - {_MANIFEST}
        needed = {_GOLDEN, *(model.graph for model in manifest.models)}
        learners = {name for model in manifest.models for name in model.native}
        if not names == set(manifest.files) == needed | learners:
            raise BadBundle("the file holds other members than its manifest names", _AGAIN)
        return manifest, {name: archive.read(name) for name in (names if native else needed)}


def _refuse_foreign_format(facts: Any) -> None:
    number = facts.get("format") if isinstance(facts, dict) else None
    if number != FORMAT:
        raise BadBundle(f"the file has format {number!r}, this version reads format {FORMAT}", "use the version of wattcast that wrote it")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
