"""Stage register: bundles and their scores to the live store, and one atomic change of who answers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wattcast.adapters.provenance import who_when
from wattcast.adapters.wiring import Services, connect
from wattcast.config import Params, load_params, load_settings
from wattcast.forecasting import succession
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import fallback_of
from wattcast.forecasting.choosing import application, choose_champion, record_of, slot_of
from wattcast.forecasting.promotion import judge
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.succession import Application
from wattcast.stages import run
from wattcast.stages.outputs import Facts, read_bundles, read_facts, read_made, read_scorecard, read_serving, read_table
from wattcast.stages.progress import progress

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


def main() -> None:
    """Publish what was trained and scored: the best inside the training span applies for the place of who serves."""
    services, params, facts, made = connect(load_settings()), load_params(), read_facts(), who_when()
    there = services.store.manifest()
    applications = [_applied(name, there.slot(name, facts.meter.id), services, params, facts) for name in params.tasks]
    manifest = services.store.change(partial(succession.register, meter=facts.meter, applications=applications), **made)
    print(f"registered meter {facts.meter.id}{' (SIMULATED)' if facts.meter.simulated else ''}, serving manifest {manifest.serial}")
    print("\n".join(f"  {line}" for one in applications for line in (*manifest.slots[one.slot.key].in_words(), *one.in_words())))


def _applied(name: str, there: Slot | None, services: Services, params: Params, facts: Facts) -> Application:
    """Keep the bundles, records and readings of a task; the slot that they apply for, judged beside who serves."""
    task, skipped, verdict = params.tasks[name], facts.skipped.get(name, ""), None
    slot = partial(slot_of, name, task, facts.meter.id, params.quantiles, skipped=skipped)
    if skipped:
        return application(slot([]), there, None)
    table, card, threads = read_table(task.resolution_s), read_scorecard(), params.training_threads()
    first_test = first_test_row(table, params.train_share)
    fallback = fallback_of(table, first_test, task.frame(table.meter.zone), task.baselines, params.quantiles)
    bundles = {bundle.id: bundle for bundle in read_bundles(name, threads)}
    made = [read_made(name, bundle.manifest.family) for bundle in bundles.values()]
    records = [record_of(one, card.rows_of(one.id), fallback, facts.quality, **by) for one, by in zip(bundles.values(), made, strict=True)]
    if (chosen := choose_champion(records)) is not None:
        with progress(f"judging {name} beside the champion"):
            verdict = judge(bundles[chosen.bundle], read_serving(services.store, there, threads), table, first_test)
    for record in records:
        services.store.put_bundle(bundles[record.bundle].data)
        services.store.put_record(replace(record, verdict=verdict) if record is chosen else record)
    reach = [model.spec.history_steps for bundle in bundles.values() for model in bundle.manifest.models]
    services.snapshots.put(table.last(_KEPT_HISTORIES * max(reach, default=0)))
    return application(slot(records), there, verdict)


if __name__ == "__main__":
    run(main)
