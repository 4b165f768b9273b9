"""Stage preprocess: the raw meter file to tables at the resolutions that the tasks need, and a verdict on it."""

from __future__ import annotations

from pathlib import Path

from wattcast.config import MeterFacts, Params, load_params
from wattcast.errors import BadMeterFile
from wattcast.meter.cleaning import resample, to_table
from wattcast.meter.quality import judge
from wattcast.meter.readers import read
from wattcast.meter.readers.known_file import join_known
from wattcast.meter.table import MeterTable
from wattcast.stages import run
from wattcast.stages.outputs import Facts, write_processed
from wattcast.stages.readings import read_options


def main() -> None:
    """Read, clean, judge; refuse a file that is not to be believed."""
    params = load_params()
    path = Path(params.meter.file)
    readings = read(path, read_options(params, path))
    table = to_table(readings)
    quality = judge(readings, table)
    if quality.verdict == "refused":
        raise BadMeterFile(f"{path} is refused: {'; '.join(quality.reasons)}", f"wattcast check {path} shows all figures")
    skipped = _skipped(params, table)
    steps = {task.resolution_s for name, task in params.tasks.items() if name not in skipped}
    tables = [at_step(table, step, params) for step in sorted(steps)]
    write_processed(Facts(table.meter, quality, params.effort(len(table)), skipped), tables)
    print(f"meter {table.meter.id}: {quality.verdict}. {' '.join(quality.reasons)} How it was read: {'; '.join(quality.notes)}.")
    for name, column in tables[0].known.items() if tables else ():
        print(f"{name} is known ahead for {column.share_of(tables[0].instants()):.0%} of the time of the readings")
    for name, why in skipped.items():
        print(f"{name} is skipped: {why}")


def at_step(table: MeterTable, step_s: int, params: Params) -> MeterTable:
    """The readings averaged to this step, with the columns known ahead that params.yaml names for their meter beside them."""
    facts, share = params.meters.get(table.meter.id, MeterFacts()), params.least_share_measured
    averaged = table if step_s == table.step_s else resample(table, step_s, share)
    return join_known(averaged, Path(facts.known), always=facts.known_always, least_share=share) if facts.known else averaged


def _skipped(params: Params, table: MeterTable) -> dict[str, str]:
    tasks = {name: task for name, task in params.tasks.items() if not task.can_serve(table.step_s)}
    return {name: f"the readings are {table.step_s} s apart, it needs {task.resolution_s} s or finer" for name, task in tasks.items()}


if __name__ == "__main__":
    run(main)
