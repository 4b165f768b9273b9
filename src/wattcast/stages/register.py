"""Stage register: bundles and their scores to the live store, and one atomic change of who answers."""

from __future__ import annotations

import sys
from functools import partial

from wattcast.adapters.provenance import provenance, readings_hash
from wattcast.adapters.tracking import track
from wattcast.adapters.wiring import connect
from wattcast.config import load_params, load_settings
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import Fallback, climatological_profile, residual_spread
from wattcast.forecasting.bundle import Manifest
from wattcast.forecasting.registry import Record, record_of, slot_of
from wattcast.forecasting.runs import PipelineRun
from wattcast.stages import run
from wattcast.stages.outputs import read_bundles, read_facts, read_made, read_plots, read_scorecard, read_table

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


def main() -> None:
    """Publish what was trained and scored; who answers is chosen inside the training span, the test span may only veto."""
    services, params, facts, card = connect(load_settings()), load_params(), read_facts(), read_scorecard()
    records: list[Record] = []
    manifests: list[Manifest] = []
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
            manifests.append(bundle.manifest)
            reach = max(reach, *(model.spec.history_steps for model in bundle.manifest.models))
        services.snapshots.put(table.last(_KEPT_HISTORIES * reach))
    meter = facts.meter
    slots = [slot_of(name, task, meter.id, params.quantiles, records, facts.skipped.get(name, "")) for name, task in params.tasks.items()]
    manifest = services.store.manifest().with_slots(meter, slots)
    services.store.publish(manifest)
    print(f"registered meter {meter.id}{' (SIMULATED)' if meter.simulated else ''}, serving manifest {manifest.serial}")
    for slot in slots:
        print("\n".join(f"  {line}" for line in slot.in_words()))
    pipeline_run = PipelineRun(meter.id, tuple(zip(manifests, records, strict=True)), read_plots(), readings_hash(), **provenance())
    track(load_settings(), services.store, pipeline_run, slots, partial(print, file=sys.stderr))


if __name__ == "__main__":
    run(main)
