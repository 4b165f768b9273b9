"""The command that searches for better settings inside the training span, and writes what it found as a change of params.yaml."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside, stdout, table
from wattcast.cli.options import params_here
from wattcast.errors import BadParams, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wattcast.config import Params
    from wattcast.forecasting.tuning import Found, Search, Trial

_PARAMS = Path("params.yaml")
_SHOWN = 4
_BY_HAND = "run it without --write, and change params.yaml by hand"


@dataclass(frozen=True)
class _Plan:
    """What is searched, and where in params.yaml its settings stand: families, family, task, preset; `own` of them under its model."""

    search: Search
    place: tuple[str, str, str, str]
    own: frozenset[str]

    @property
    def title(self) -> str:
        meter = self.search.known.meter
        simulated = " (SIMULATED)" if meter.simulated else ""
        return f"{self.place[2]}, {self.search.recipe.family.title}, {self.place[3]}, on meter {meter.id}{simulated}"


def tune(  # noqa: PLR0913 (each is an option of the command)
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A meter file. Without it, the one in params.yaml.", show_default=False)
    ] = None,
    *,
    task: Annotated[str, typer.Option(help="What is forecast, as params.yaml calls it.")] = "day_ahead",
    family: Annotated[str, typer.Option(help="The family whose settings are searched.")] = "lgbm",
    preset: Annotated[str, typer.Option(help="fast or best. Without it, the one that the file would get.")] = "",
    trials: Annotated[int, typer.Option(min=1, help="How many the study has in the end; those from before count.")] = 40,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no trial after so many; 0: no limit.")] = 0,
    rounds: Annotated[int, typer.Option(min=0, help="Rounds or trees that a head may grow; as many as now where that is more.")] = 0,
    study: Annotated[Path, typer.Option(help="The SQLite file that studies are kept in.")] = Path("metrics/tuning.db"),
    write: Annotated[bool, typer.Option("--write", help="Write what was found to params.yaml, for you to commit.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write every trial to this .md file, or to TASK-FAMILY.md in this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for better settings of a family, by walking forward inside the training span; the test is never looked at.

    An interrupted study goes on where it stopped. Without --write the change is printed.
    """
    from wattcast.adapters.files import write_atomically
    from wattcast.adapters.optuna import Study
    from wattcast.forecasting.tuning import found_by

    params = params_here()
    plan = _planned(file or Path(params.meter.file), params, (task, family, preset), rounds)
    if write:
        _stated()
    with Study(study, f"{plan.search.known.meter.id}/{task}/{family}/{plan.search.digest}", params.seed) as kept:
        stopped = _searched(kept.run, plan, trials, minutes)
        found = found_by(kept.trials(), plan.search.recipe.settings)
    if trace is not None:
        trace = trace if trace.suffix == ".md" else trace / f"{task}-{family}.md"
        write_atomically(trace, _as_markdown(plan, found).encode())
    changes = _changes(plan, found)
    written = write and not stopped and _written(plan, changes)
    if as_json:
        print_json(_as_values(plan, found) | {"change": changes, "written": written, "study": str(study)})
    else:
        _show(plan, found)
    for line in _next(plan, changes, study, written=written, trace=trace):
        (say_aside if as_json else say)(line)
    if stopped:
        raise KeyboardInterrupt(f"stopped: {study} keeps what was tried, the same command goes on from there")


def _planned(file: Path, params: Params, words: tuple[str, str, str], rounds: int) -> _Plan:
    """What to search. words: task, family, preset. Raises BadParams naming what params.yaml does not state."""
    from wattcast.cli.forecasting import at_resolution
    from wattcast.cli.looking import refuse_unbelievable
    from wattcast.config import nearest
    from wattcast.forecasting.tasks import Preset
    from wattcast.forecasting.tuning import search_of
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.readers import read
    from wattcast.stages.readings import read_options
    from wattcast.stages.train import recipe_of

    task, family, preset = words
    for kind, name, known in (
        ("family", family, params.families),
        ("task", task, params.tasks),
        ("preset", preset or "fast", get_args(Preset)),
    ):
        if name not in known:
            raise BadParams(f'"{name}" is no {kind}{nearest(name, list(known))}', "params.yaml states what can be tuned")
    refuse_unbelievable(file, params)
    native = to_table(read(file, read_options(params, file)))
    readings = at_resolution(params.tasks[task].resolution_s, native, task, params)
    effort: Any = preset or params.effort(len(native))
    if effort not in params.families[family].get(task, {}):
        raise BadParams(f"families.{family}.{task} in params.yaml states no {effort}", "state it, or tune another preset with --preset")
    recipe = recipe_of(params, task, family, effort)
    own = recipe.settings.get(recipe.task.models[0].name, {})
    return _Plan(search_of(readings, recipe, rounds), ("families", family, task, effort), frozenset(own))


def _searched(run: Callable[..., None], plan: _Plan, trials: int, minutes: float) -> bool:
    """Search, saying how each trial ended; whether somebody stopped it."""
    from wattcast.stages.progress import progress

    def told(trial: Trial) -> None:
        error = "" if trial.error is None else f" at {trial.error:.4f}"
        say_aside(f"trial {trial.number}: {trial.state}{error}, {trial.seconds:.1f} s")

    try:
        with progress(f"tuning {plan.title}") as report:
            run(plan.search, trials, minutes * 60, told, report)
    except KeyboardInterrupt:
        return True
    except ImportError as cause:
        raise Unavailable(f"{cause.name} is not installed, and fitting needs it", 'pip install "wattcast[train]"') from cause
    return False


def _changes(plan: _Plan, found: Found) -> dict[str, Any]:
    """The settings that the best trial has otherwise than params.yaml; none before both are known."""
    best = found.best.settings if found.best is not None and found.gain is not None else {}
    return {name: value for name, value in best.items() if value != plan.search.recipe.settings.get(name)}


def _stated() -> str:
    try:
        return _PARAMS.read_bytes().decode("utf-8")
    except OSError as cause:
        raise Unavailable(f"{_PARAMS} cannot be read: {cause.strerror}", "run this in the project's folder, or without --write") from cause


def _written(plan: _Plan, changes: Mapping[str, Any]) -> bool:
    """Make these changes in params.yaml, in one step; whether there were any."""
    from wattcast.adapters.files import write_atomically
    from wattcast.adapters.project import alone

    if changes:
        with alone() if Path(".dvc").is_dir() else nullcontext():
            text = _stated()
            for name, value in changes.items():
                own = (plan.search.recipe.task.models[0].name,) if name in plan.own else ()
                text = _with_setting(text, (*plan.place, *own), name, _as_yaml(value))
            write_atomically(_PARAMS, text.encode("utf-8"))
    return bool(changes)


def _with_setting(text: str, place: tuple[str, ...], name: str, value: str) -> str:
    """The YAML with this setting in the mapping at this place; every other byte stays.

    Raises BadParams where there is no such mapping, or it stands for other places too.
    """
    import yaml

    def loaded(written: str) -> Any:
        # Once through JSON: what an alias shares must not be changed together.
        return json.loads(json.dumps(yaml.safe_load(written)))

    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        wanted = stated = loaded(text)
        for key in place:
            node = next(below for each, below in node.value if each.value == key)
            stated = stated[key]
        scalars = {each.value: (each, below) for each, below in node.value if isinstance(below, yaml.ScalarNode)}
        first, last = scalars.get(name) or list(scalars.values())[-1]
        start, stop, new = last.start_mark.index, last.end_mark.index, value
        if name not in scalars:
            between = ", " if node.flow_style else "\n" + " " * first.start_mark.column
            start, new = stop, f"{between}{name}: {value}"
        stated[name] = loaded(value)
        changed = text[:start] + new + text[stop:]
        if loaded(changed) == wanted:
            return changed
        raise BadParams(f"{'.'.join(place)} in {_PARAMS} stands for other places too", _BY_HAND)
    except (yaml.YAMLError, StopIteration, AttributeError, TypeError, ValueError, KeyError, IndexError) as cause:
        raise BadParams(f"{_PARAMS} has no mapping {'.'.join(place)} that could be changed", _BY_HAND) from cause


def _as_yaml(value: float) -> str:
    # No exponent: YAML 1.1 reads 1e-05 as a word.
    return str(int(value)) if float(value).is_integer() else format(Decimal(repr(value)), "f")


def _as_values(plan: _Plan, found: Found) -> dict[str, Any]:
    _, family, task, preset = plan.place
    meter, best = plan.search.known.meter, found.best
    return {
        "meter": meter.id,
        "simulated": meter.simulated,
        "task": task,
        "family": family,
        "preset": preset,
        "trials": {state: found.count(state) for state in ("complete", "pruned", "failed", "unfinished")},
        "now": {"error": found.now.error if found.now else None, "settings": dict(plan.search.recipe.settings)},
        "best": {"trial": best.number, "error": best.error, "settings": dict(best.settings)} if best else None,
        "gain": found.gain,
        "trace": [asdict(trial) for trial in found.trials],
    }


def _show(plan: _Plan, found: Found) -> None:
    whole = sorted((each for each in found.trials if each.state == "complete" and each is not found.now), key=lambda each: each.error or 0)
    columns = ([found.now] if found.now else []) + whole[:_SHOWN]
    say(f"{plan.title}; {found.counts}")
    if columns:
        names = ["params.yaml" if each is found.now else f"trial {each.number}" for each in columns]
        rows = table("setting", *names)
        for each in plan.search.space:
            rows.add_row(each.name, *(_as_yaml(trial.settings.get(each.name, each.default)) for trial in columns))
        rows.add_row("error (2: as a baseline)", *(f"{trial.error:.4f}" for trial in columns))
        stdout().print(rows)
    say(found.in_words)


def _next(plan: _Plan, changes: Mapping[str, Any], study: Path, *, written: bool, trace: Path | None) -> Iterator[str]:
    if written:
        yield f"{_PARAMS} is changed at {'.'.join(plan.place)}: look at git diff {_PARAMS}, run dvc repro, commit both"
    elif changes:
        pairs = ", ".join(f"{name}: {_as_yaml(value)}" for name, value in changes.items())
        yield f"the change (--write makes it) of {'.'.join(plan.place)} in {_PARAMS}:  {pairs}"
    if trace is not None:
        yield f"{trace}: every trial"
    yield f"{study}: the study"


def _as_markdown(plan: _Plan, found: Found) -> str:
    from wattcast.forecasting.tuning import trace_lines

    _, family, task, preset = plan.place
    command = f"`wattcast tune --task {task} --family {family} --preset {preset}`"
    return "\n".join([f"# Tuning of {plan.title}\n", f"{command}, on the training span alone.", *trace_lines(plan.search, found), ""])
