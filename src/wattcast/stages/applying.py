"""What training left of one task, kept in the store: who applies for the place of the champion, and how that was judged."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from wattcast.adapters.wiring import Services
from wattcast.config import Params
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import fallback_of
from wattcast.forecasting.bundle import Manifest
from wattcast.forecasting.choosing import application, choose_champion, record_of, slot_of
from wattcast.forecasting.promotion import judge
from wattcast.forecasting.registry import Record, Slot
from wattcast.forecasting.succession import Application
from wattcast.stages.outputs import Facts, read_bundles, read_made, read_scorecard, read_serving, read_table, read_verdict
from wattcast.stages.progress import progress

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


@dataclass(frozen=True)
class Applied:
    """What applies, and what every bundle of the task says of itself beside its record."""

    application: Application
    made: tuple[tuple[Manifest, Record], ...] = ()


def applied(name: str, there: Slot | None, services: Services, params: Params, facts: Facts) -> Applied:
    """Keep the bundles, records and readings of a task; the slot that they apply for, judged beside who serves."""
    task, skipped, verdict = params.tasks[name], facts.skipped.get(name, ""), None
    slot = partial(slot_of, name, task, facts.meter.id, params.quantiles, skipped=skipped)
    if skipped:
        return Applied(application(slot([]), there, None))
    table, card, threads = read_table(task.resolution_s), read_scorecard(), params.training_threads()
    first_test = first_test_row(table, params.train_share)
    fallback = fallback_of(table, first_test, task.frame(table.meter.zone), task.baselines, params.quantiles)
    bundles = {bundle.id: bundle for bundle in read_bundles(name, threads)}
    records = {
        key: record_of(bundle, card.rows_of(key), fallback, facts.quality, **read_made(name, bundle.manifest.family))
        for key, bundle in bundles.items()
    }
    chosen = choose_champion(list(records.values()))
    if chosen is not None:
        with progress(f"judging {name} beside the champion") if there and there.champion else nullcontext():
            verdict = judge(bundles[chosen.bundle], read_serving(services.store, there, threads), table, first_test)
        # The very bundle that serves keeps the verdict by which it took over.
        same = there is not None and there.champion == chosen.bundle
        records[chosen.bundle] = replace(chosen, verdict=(read_verdict(services.store, chosen.bundle) if same else None) or verdict)
    for key, record in records.items():
        services.store.put_bundle(bundles[key].data)
        services.store.put_record(record)
    reach = [model.spec.history_steps for bundle in bundles.values() for model in bundle.manifest.models]
    services.snapshots.put(table.last(_KEPT_HISTORIES * max(reach, default=0)))
    return Applied(
        application(slot(list(records.values())), there, verdict), tuple((bundles[key].manifest, records[key]) for key in bundles)
    )
