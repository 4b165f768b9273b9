"""Stage register: bundles and their scores to the live store, one atomic change of who answers, and what people see of the run."""

from __future__ import annotations

import sys
from functools import partial

from wattcast.adapters.provenance import provenance, readings_hash
from wattcast.adapters.tracking import track
from wattcast.adapters.wiring import connect
from wattcast.config import load_params, load_settings
from wattcast.forecasting import succession
from wattcast.forecasting.runs import PipelineRun
from wattcast.stages import run
from wattcast.stages.applying import applied
from wattcast.stages.outputs import read_facts, read_plots


def main() -> None:
    """Publish what was trained and scored: the best inside the training span applies for the place of who serves."""
    settings, params, facts, made = load_settings(), load_params(), read_facts(), provenance()
    services, meter = connect(settings), facts.meter
    there = services.store.manifest()
    applying = [applied(name, there.slot(name, meter.id), services, params, facts) for name in params.tasks]
    step = partial(succession.register, meter=meter, applications=[one.application for one in applying])
    manifest = services.store.change(step, at=made["at"], by=made["by"])
    print(f"registered meter {meter.id}{' (SIMULATED)' if meter.simulated else ''}, serving manifest {manifest.serial}")
    for one in applying:
        slot = manifest.slots[one.application.slot.key]
        print("\n".join(f"  {line}" for line in (*slot.in_words(), *one.application.in_words())))
    whole = PipelineRun(meter.id, tuple(pair for one in applying for pair in one.made), read_plots(), readings_hash(), **made)
    track(settings, services.store, whole, list(manifest.slots.values()), partial(print, file=sys.stderr))


if __name__ == "__main__":
    run(main)
