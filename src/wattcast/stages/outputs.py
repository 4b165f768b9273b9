"""Where the stages leave what they make for each other: processed tables, models, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from wattcast.adapters.files import write_atomically
from wattcast.errors import BadBundle, RegistryConflict, Unavailable
from wattcast.forecasting.bundle import SUFFIX, Bundle, open_bundle
from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.promotion import Unusable, Verdict
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.scorecard import Scorecard
from wattcast.forecasting.tasks import Preset
from wattcast.forecasting.training import Trained
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter, MeterTable
from wattcast.ports import ModelStore

PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = METRICS / "validation_plots"
# The families that dvc.yaml makes: each leaves its figures in metrics/.
TRAINED = ("xgb", "rf", "lgbm", "extra", "blend")


@dataclass(frozen=True)
class Facts:
    """What preprocess found out: the meter, its verdict, which preset trains it, and for each task it cannot serve the reason."""

    meter: Meter
    quality: QualityReport
    preset: Preset
    skipped: Mapping[str, str]


def write_processed(facts: Facts, tables: list[MeterTable]) -> None:
    """Leave the tables, one file per resolution, and the facts beside them."""
    for table in tables:
        write_atomically(_table_path(table.step_s), table.to_bytes())
    said = {"meter": asdict(facts.meter), "quality": facts.quality.to_json(), "preset": facts.preset, "skipped": dict(facts.skipped)}
    write_atomically(PROCESSED / "meter.json", json.dumps(said, indent=1).encode())


def read_facts() -> Facts:
    """The facts that preprocess left. Raises Unavailable where it never ran."""
    try:
        said = json.loads((PROCESSED / "meter.json").read_text())
    except OSError as cause:
        raise Unavailable(f"{PROCESSED / 'meter.json'} is not there", "run the preprocess stage first: dvc repro") from cause
    return Facts(Meter(**said["meter"]), QualityReport.from_json(said["quality"]), said["preset"], said["skipped"])


def read_scorecard() -> Scorecard:
    """The scorecard that evaluate left. Raises Unavailable where it never ran."""
    try:
        return Scorecard.from_json((METRICS / "scorecard.json").read_text())
    except OSError as cause:
        raise Unavailable(f"{METRICS / 'scorecard.json'} is not there", "run the evaluate stage first: dvc repro") from cause


def read_table(step_s: int) -> MeterTable:
    """The processed readings at this resolution."""
    return MeterTable.from_bytes(_table_path(step_s).read_bytes())


def model_folder(task: str, family: str) -> Path:
    """Where the train stage leaves the bundle of a task and family."""
    return MODELS / task / family


def write_trained(task: str, family: str, trained: Trained, made: Mapping[str, str]) -> None:
    """Leave a bundle, what it forecast of the rows held out, and who made it when (in the bundle itself that would change its bytes)."""
    folder = model_folder(task, family)
    for model, rows in trained.held_out.items():
        write_atomically(folder / f"{model}.held_out.npz", rows.to_bytes())
    write_atomically(folder / "made.json", json.dumps(made, indent=1).encode())
    write_atomically(folder / f"model{SUFFIX}", trained.data)


def read_held_out(bundle: Bundle) -> dict[str, Scored]:
    """By model, what a trained bundle forecast of the rows held out."""
    folder = model_folder(bundle.manifest.task, bundle.manifest.family)
    return {model.name: Scored.from_bytes((folder / f"{model.name}.held_out.npz").read_bytes()) for model in bundle.manifest.models}


def read_made(task: str, family: str) -> dict[str, str]:
    """Who made a bundle, and when."""
    return dict(json.loads((model_folder(task, family) / "made.json").read_text()))


def read_bundles(task: str, threads: int, *, native: bool = False) -> Iterator[Bundle]:
    """Every trained bundle of the task, in the order of their paths."""
    for path in sorted((MODELS / task).glob(f"*/model{SUFFIX}")):
        yield open_bundle(path.read_bytes(), threads=threads, native=native)


def read_serving(store: ModelStore, slot: Slot | None, threads: int) -> Bundle | Unusable | None:
    """The champion that serves, or why its file cannot be used; None where there is none."""
    if slot is None or not slot.champion:
        return None
    try:
        return open_bundle(store.bundle(slot.champion), expected_id=slot.champion, threads=threads)
    except BadBundle as refusal:
        return Unusable(slot.champion, refusal.message)


def read_verdict(store: ModelStore, bundle: str) -> Verdict | None:
    """The verdict by which a bundle took over, where its record can be read."""
    try:
        return store.record(bundle).verdict
    except (RegistryConflict, BadBundle):
        return None


def read_plots() -> dict[str, bytes]:
    """The plots that evaluate left, by the names of their files."""
    return {path.name: path.read_bytes() for path in sorted(PLOTS.glob("*.png"))}


def _table_path(step_s: int) -> Path:
    return PROCESSED / f"{step_s}s.npz"
