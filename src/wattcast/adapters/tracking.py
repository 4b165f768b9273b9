"""A run of the pipeline and who is who after it, mirrored where people look at such things. What answers never depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wattcast.adapters.mlflow import MlflowRegistry
from wattcast.config import Settings
from wattcast.errors import WattcastError
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.runs import PipelineRun
from wattcast.ports import ModelStore, Registry


def track(settings: Settings, store: ModelStore, run: PipelineRun, slots: Iterable[Slot], say: Callable[[str], object]) -> None:
    """Mirror a run in MLflow, where one is set. store: has its bundles. What fails there is said, and is all that fails."""
    if not settings.mlflow:
        return
    try:
        mirror(MlflowRegistry(settings.mlflow, store.bundle), run, slots)
    except (WattcastError, OSError) as error:
        hint = f"\nhint: {error.hint}" if isinstance(error, WattcastError) else ""
        say(f"warning: {error}; the models are registered all the same, but not all of this run is to be seen there{hint}")


def mirror(registry: Registry, run: PipelineRun, slots: Iterable[Slot]) -> None:
    """Log the run, judge its bundles, and call the champions so; one that was never logged is called nothing."""
    registry.log_run(run)
    for slot in slots:
        for _, record in run.made:
            if (record.task, record.meter) == (slot.task, slot.meter):
                registry.judge(slot.task, slot.meter, record.bundle, _verdict(slot, record.family, record.bundle))
        known = registry.versions(slot.task, slot.meter)
        registry.point(slot.task, slot.meter, "champion", slot.champion if slot.champion in known else "")


def _verdict(slot: Slot, family: str, bundle: str) -> str:
    if bundle == slot.champion:
        return "champion"
    return f"vetoed: {slot.vetoed[family]}" if family in slot.vetoed else "not chosen: another did better in the validation"
