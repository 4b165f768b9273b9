"""Stage blend TASK: the mean of the trained families as one more bundle, or a note on why there is none."""

from __future__ import annotations

import shutil
import sys

from wattcast.adapters.files import write_atomically
from wattcast.adapters.provenance import provenance
from wattcast.config import load_params, nearest
from wattcast.errors import BadParams
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.blending import blend
from wattcast.forecasting.families import BLEND
from wattcast.forecasting.training import Trained
from wattcast.stages import run
from wattcast.stages.outputs import model_folder, read_bundles, read_held_out, read_table, write_trained


def main() -> None:
    """Blend what the argument names."""
    params, name = load_params(), " ".join(sys.argv[1:])
    if name not in params.tasks:
        raise BadParams(f'"{name}" is no task{nearest(name, list(params.tasks))}', "python -m wattcast.stages.blend day_ahead")
    folder = model_folder(name, BLEND.key)
    shutil.rmtree(folder, ignore_errors=True)
    members = {bundle.manifest.family: bundle for bundle in read_bundles(name, params.training_threads(), native=True)}
    made: Trained | str = "no family was trained for it"
    if members:
        table = read_table(params.tasks[name].resolution_s)
        held_out = {key: read_held_out(bundle) for key, bundle in members.items()}
        made = blend(members, held_out, table.rows(0, first_test_row(table, params.train_share)))
    if isinstance(made, str):
        write_atomically(folder / "skipped.txt", made.encode() + b"\n")
        print(f"{name}: no blend, {made}")
    else:
        write_trained(name, BLEND.key, made, provenance())


if __name__ == "__main__":
    run(main)
