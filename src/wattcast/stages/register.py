"""Stage register: bundles and their scores to the live store, and one atomic change of who answers."""

from __future__ import annotations

import getpass
import subprocess
from datetime import UTC, datetime

from wattcast.adapters.wiring import connect
from wattcast.config import Params, load_params, load_settings
from wattcast.forecasting.baselines import climatological_profile, residual_spread
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.registry import Record, ServingManifest, slot_of
from wattcast.forecasting.scorecard import Scorecard
from wattcast.meter.table import MeterTable
from wattcast.stages import run
from wattcast.stages.outputs import METRICS, Facts, bundles, read_facts, read_table

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


def main() -> None:
    """Publish what was trained and scored; who answers is chosen inside the training span, the test span may only veto."""
    services, params, facts = connect(load_settings()), load_params(), read_facts()
    card = Scorecard.from_json((METRICS / "scorecard.json").read_text())
    tables = {step: read_table(facts, step) for step in {params.tasks[row.task].resolution_s for row in card.rows}}
    records: list[Record] = []
    for data, bundle in bundles(params.training_threads()):
        services.store.put_bundle(data)
        records.append(_record(bundle, tables[bundle.manifest.step_s], card, facts))
        services.store.put_record(records[-1])
        reach = max(model.spec.history_steps for model in bundle.manifest.models)
        table = tables[bundle.manifest.step_s]
        services.readings.put(table.rows(len(table) - _KEPT_HISTORIES * reach, len(table)))
    slots = [
        slot_of(name, task, facts.meter.id, params.quantiles, records, facts.skipped.get(name, "")) for name, task in params.tasks.items()
    ]
    manifest = services.store.manifest().with_slots(facts.meter, slots)
    services.store.publish(manifest)
    print(_said(manifest, facts, params))


def _record(bundle: Bundle, table: MeterTable, card: Scorecard, facts: Facts) -> Record:
    manifest = bundle.manifest
    own = {row.model: row.score for row in (*card.rows, *card.fallback_rows) if row.bundle == bundle.id}
    return Record(
        bundle=bundle.id,
        task=manifest.task,
        family=manifest.family,
        meter=manifest.meter.id,
        tests=own,
        validation={model.name: model.validation for model in manifest.models},
        veto=tuple(f"from {name}, {loss}" for name, score in own.items() for loss in score.losing_to()),
        golden=bundle.golden_forecasts(),
        baseline_spread=residual_spread(table.until(manifest.train_end_s), manifest.horizon, manifest.baselines, manifest.levels),
        profile=climatological_profile(table, manifest.levels),
        quality=facts.quality,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        trained_by=getpass.getuser(),
        revision=_revision(),
    )


def _revision() -> str:
    """The git revision the models were made at, "-dirty" where files differ from it, empty outside a repository."""
    told = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else ""


def _said(manifest: ServingManifest, facts: Facts, params: Params) -> str:
    lines = [f"registered meter {facts.meter.id}{' (SIMULATED)' if facts.meter.simulated else ''}, serving manifest {manifest.serial}"]
    for name in params.tasks:
        slot = manifest.slots[f"{name}/{facts.meter.id}"]
        who = f"champion {slot.champion_family} {slot.champion[:12]}" if slot.champion else slot.skipped or "a baseline, no family beat it"
        lines += [f"  {name}: {who}", *(f"  {name}: {family} is vetoed: {why}" for family, why in slot.vetoed.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
