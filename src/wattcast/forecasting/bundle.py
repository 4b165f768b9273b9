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
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from wattcast.errors import BadBundle
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.model import Model, ModelFacts
from wattcast.meter.table import Meter, MeterTable

FORMAT = 1
# Format of bundles -> the last release that reads it, of formats that this one reads no more.
_LAST_READ_BY: Mapping[int, str] = {}
SUFFIX = ".wattcast"
_MANIFEST, _GOLDEN = "manifest.json", "golden.npz"
_KINDS = (".json", ".npz", ".onnx", ".ubj", ".txt")
_PICKLES = (".pkl", ".pickle", ".joblib")
_LARGEST_BYTES = 512 * 1024 * 1024
_AGAIN = "run the pipeline again (make run), or answer from another bundle"


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
    identity = _identified(data, expected_id)
    manifest, members = _unpacked(data, "all" if native else "needed")
    for name, content in members.items():
        if _sha256(content) != manifest.files[name]:
            raise BadBundle(f"member {name} was altered: its SHA-256 is not the manifest's", _AGAIN)
    return Bundle(identity, manifest, members, data, threads)


def manifest_of(data: bytes, expected_id: str) -> Manifest:
    """What the bundle in these bytes says of itself, its heads left packed. Raises BadBundle where it is not the one called so."""
    _identified(data, expected_id)
    return _unpacked(data, "none")[0]


def _identified(data: bytes, expected_id: str) -> str:
    identity = _sha256(data)
    if expected_id and identity != expected_id:
        raise BadBundle(f"the file is not bundle {expected_id[:12]}: its SHA-256 is {identity[:12]}, so it was altered or torn", _AGAIN)
    return identity


def _unpacked(data: bytes, which: Literal["all", "needed", "none"]) -> tuple[Manifest, dict[str, bytes]]:
    try:
        return _read(data, which)
    except BadBundle:
        raise
    except Exception as cause:  # zipfile, its decompressors, json and pydantic have no common base class for what they raise
        said = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise BadBundle(f"the file is not a whole {SUFFIX} bundle ({said})", _AGAIN) from cause


def _read(data: bytes, which: Literal["all", "needed", "none"]) -> tuple[Manifest, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
            raise BadBundle("the file unpacks to more than 512 MB", _AGAIN)
        facts = json.loads(archive.read(_MANIFEST))
        _refuse_foreign_format(facts)
        manifest = _ADAPTER.validate_python(facts)
        if not manifest.models:
            raise BadBundle("the file holds no model", _AGAIN)
        names = set(archive.namelist()) - {_MANIFEST}
        _refuse_foreign_members(names)
        needed = {_GOLDEN, *(model.graph for model in manifest.models)}
        learners = {name for model in manifest.models for name in model.native}
        if not names == set(manifest.files) == needed | learners:
            raise BadBundle("the file holds other members than its manifest names", _AGAIN)
        wanted = {"all": names, "needed": needed, "none": set[str]()}[which]
        return manifest, {name: archive.read(name) for name in wanted}


def _refuse_foreign_members(names: set[str]) -> None:
    """Nothing in a bundle leads out of it, or is of a kind that can hold code."""
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise BadBundle(f"member {name[:80]} leads out of the bundle", _AGAIN)
        if path.suffix in _PICKLES:
            raise BadBundle(f"member {name[:80]} is a pickle, which can run code; a bundle holds data alone", _AGAIN)
        if path.suffix not in _KINDS:
            raise BadBundle(f"member {name[:80]} is of a kind that no bundle holds", _AGAIN)


def _refuse_foreign_format(facts: Any) -> None:
    number = facts.get("format") if isinstance(facts, dict) else None
    if number == FORMAT:
        return
    release = version("wattcast")
    if not isinstance(number, int) or number < 1:
        raise BadBundle(f"the file says format {number!r}, and bundles have a number from 1: it is none of wattcast's", _AGAIN)
    if number > FORMAT:
        raise BadBundle(
            f"the file has format {number}: it needs a newer wattcast than {release}, which reads format {FORMAT}",
            f"install the release that wrote it, or {_AGAIN}",
        )
    raise BadBundle(
        f"the file has format {number}, which wattcast reads up to {_LAST_READ_BY[number]}; {release} reads format {FORMAT}",
        f"install that release, or {_AGAIN}",
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
