"""Stage register: bundles and their scores to the live store, and one atomic change of who answers."""

from __future__ import annotations

import getpass
import subprocess
from datetime import UTC, datetime

from wattcast.adapters.wiring import connect
from wattcast.config import load_params, load_settings
from wattcast.forecasting.registry import Record, record_of, slot_of
from wattcast.stages import run
from wattcast.stages.outputs import bundles, read_facts, read_scorecard, read_table

# Readings kept for serving, as a multiple of what a model looks back on.
_KEPT_HISTORIES = 2


def main() -> None:
    """Publish what was trained and scored; who answers is chosen inside the training span, the test span may only veto."""
    services, params, facts = connect(load_settings()), load_params(), read_facts()
    card = read_scorecard()
    made = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": _user(), "revision": _revision()}
    records: list[Record] = []
    for bundle in bundles(params.training_threads()):
        table = read_table(facts, bundle.manifest.step_s)
        services.store.put_bundle(bundle.data)
        records.append(record_of(bundle, card.tests_of(bundle.id), table, facts.quality, **made))
        services.store.put_record(records[-1])
        reach = max(model.spec.history_steps for model in bundle.manifest.models)
        services.readings.put(table.rows(len(table) - _KEPT_HISTORIES * reach, len(table)))
    meter = facts.meter
    slots = [slot_of(name, task, meter.id, params.quantiles, records, facts.skipped.get(name, "")) for name, task in params.tasks.items()]
    manifest = services.store.manifest().with_slots(meter, slots)
    services.store.publish(manifest)
    print(f"registered meter {meter.id}{' (SIMULATED)' if meter.simulated else ''}, serving manifest {manifest.serial}")
    for slot in slots:
        print("\n".join(f"  {line}" for line in slot.in_words()))


def _user() -> str:
    """Who runs this; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _revision() -> str:
    """The git revision the models were made at, "-dirty" where files differ from it, empty outside a repository."""
    try:
        told = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


if __name__ == "__main__":
    run(main)
