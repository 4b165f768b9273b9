"""A run of the pipeline and who is who after it, mirrored where people look at such things. What answers never depends on it."""

from __future__ import annotations

from collections.abc import Callable

from wattcast.adapters.blob_registry import BlobRegistry
from wattcast.adapters.mlflow import MlflowRegistry
from wattcast.adapters.model_store import BlobModelStore
from wattcast.config import Settings
from wattcast.errors import WattcastError
from wattcast.forecasting.registry import Record, Slot
from wattcast.forecasting.runs import PipelineRun
from wattcast.ports import Alias, Registry


def track(settings: Settings, store: BlobModelStore, run: PipelineRun, slots: list[Slot], say: Callable[[str], object]) -> None:
    """Log a run beside the store, and in MLflow where one is set. What fails there is said, and is all that fails."""

    def log(registry: Registry) -> None:
        registry.log_run(run)
        for slot in slots:
            for _, record in run.made:
                if (record.task, record.meter) == (slot.task, slot.meter):
                    registry.judge(slot.task, slot.meter, record.bundle, _verdict(slot, record))
        _point(registry, slots)

    _in_each(settings, store, log, say)


def follow(settings: Settings, store: BlobModelStore, slots: list[Slot], say: Callable[[str], object]) -> None:
    """Call champions and challengers so, there too. What fails is said, and is all that fails."""
    _in_each(settings, store, lambda registry: _point(registry, slots), say)


def _in_each(settings: Settings, store: BlobModelStore, use: Callable[[Registry], None], say: Callable[[str], object]) -> None:
    registries: list[Callable[[], Registry]] = [lambda: BlobRegistry(store.blobs)]
    if settings.mlflow:
        registries.append(lambda: MlflowRegistry(settings.mlflow, store.bundle))
    for connect in registries:
        try:
            use(connect())
        except (WattcastError, OSError) as error:
            hint = f"\nhint: {error.hint}" if isinstance(error, WattcastError) else ""
            say(f"warning: {error}; the models are registered all the same, but not all of this is to be seen there{hint}")


def _point(registry: Registry, slots: list[Slot]) -> None:
    """One that was never logged is called nothing."""
    for slot in slots:
        known = registry.versions(slot.task, slot.meter)
        called: dict[Alias, str] = {"champion": slot.champion, "challenger": slot.challenger}
        for alias, bundle in called.items():
            registry.point(slot.task, slot.meter, alias, bundle if bundle in known else "")


def _verdict(slot: Slot, record: Record) -> str:
    if record.bundle == slot.champion:
        return "champion"
    if slot.families.get(record.family) == record.bundle and record.family in slot.vetoed:
        return f"vetoed: {slot.vetoed[record.family]}"
    if record.veto:
        return f"vetoed: {'; '.join(record.veto)}"
    if record.verdict is not None:
        return " ".join(record.verdict.reasons)
    return "not chosen: another did better in the validation"
