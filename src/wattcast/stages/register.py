"""Stage register: bundles and their scores to the live store, and one atomic change of who answers."""

from __future__ import annotations

from wattcast.adapters.provenance import provenance
from wattcast.adapters.wiring import connect
from wattcast.config import load_params, load_settings
from wattcast.forecasting import succession
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import Fallback, climatological_profile, residual_spread
from wattcast.forecasting.choosing import record_of, slot_of
from wattcast.forecasting.registry import Record
from wattcast.forecasting.succession import Application
from wattcast.stages import run
from wattcast.stages.outputs import read_bundles, read_facts, read_made, read_scorecard, read_table

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


def main() -> None:
    """Publish what was trained and scored; who answers is chosen inside the training span, the test span may only veto."""
    services, params, facts, card = connect(load_settings()), load_params(), read_facts(), read_scorecard()
    records: list[Record] = []
    for name, task in params.tasks.items():
        if name in facts.skipped:
            continue
        table = read_table(task.resolution_s)
        training = table.rows(0, first_test_row(table, params.train_share))
        spread = residual_spread(training, task.frame(table.meter.zone), task.baselines, params.quantiles)
        fallback = Fallback(spread, climatological_profile(table, params.quantiles))
        reach = 0
        for bundle in read_bundles(name, params.training_threads()):
            services.store.put_bundle(bundle.data)
            made = read_made(name, bundle.manifest.family)
            records.append(record_of(bundle, card.rows_of(bundle.id), fallback, facts.quality, **made))
            services.store.put_record(records[-1])
            reach = max(reach, *(model.spec.history_steps for model in bundle.manifest.models))
        services.snapshots.put(table.last(_KEPT_HISTORIES * reach))
    meter, made = facts.meter, provenance()
    slots = [slot_of(name, task, meter.id, params.quantiles, records, facts.skipped.get(name, "")) for name, task in params.tasks.items()]
    there = services.store.manifest()
    applications = [Application(slot, getattr(there.slots.get(slot.key), "champion", ""), accepted=True, reasons=()) for slot in slots]
    manifest = services.store.change(lambda now: succession.register(now, meter, applications), at=made["at"], by=made["by"])
    print(f"registered meter {meter.id}{' (SIMULATED)' if meter.simulated else ''}, serving manifest {manifest.serial}")
    for slot in slots:
        print("\n".join(f"  {line}" for line in slot.in_words()))


if __name__ == "__main__":
    run(main)
