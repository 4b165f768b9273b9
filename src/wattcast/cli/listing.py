"""Registered models and the inside of a bundle: as plain values, and those values as a person reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from wattcast.cli.console import say, stdout, table
from wattcast.forecasting.baselines import TITLES
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.families import family_of
from wattcast.forecasting.forecast import iso
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.model import ModelFacts
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.spec import FeatureSpec, Recent, Seasonal, Target
from wattcast.forecasting.star import STAR
from wattcast.meter.quality import step_in_words
from wattcast.meter.table import Meter

Values = dict[str, Any]

_TARGETS: Mapping[Target, str] = {
    "level": "predicts the load",
    "change": "predicts the change since the last reading",
    "deviation": "predicts the deviation from the usual day: the last 7 days and the days of the same kind of 8 weeks",
}


def registered(manifest: ServingManifest, records: Mapping[str, Record]) -> Values:
    """Every meter, then `*` where there is a model of all of them: its tasks, who answers each and how it did, as plain values."""
    meters = []
    star = {STAR: Meter(STAR)} if any(slot.meter == STAR for slot in manifest.slots.values()) else {}
    for name, meter in {**manifest.meters, **star}.items():
        slots = [slot for slot in manifest.slots.values() if slot.meter == name]
        quality = next((records[slot.standby].quality.verdict for slot in slots if slot.standby in records), None)
        meters.append({**asdict(meter), "quality": quality, "tasks": [_task(slot, records) for slot in slots]})
    return {"serial": manifest.serial, "latest_meter": manifest.latest_meter, "meters": meters}


def _task(slot: Slot, records: Mapping[str, Record]) -> Values:
    families, baselines = [], {}
    for family, bundle in slot.families.items():
        record = records.get(bundle)
        facts: Values = {
            "family": family,
            "title": family_of(family).title,
            "bundle": bundle,
            "champion": bundle == slot.champion,
            "vetoed": family in slot.vetoed,
        }
        if record is not None:
            score = score_as_values(next(iter(record.tests.values())))
            baselines = score.pop("baselines")
            facts |= {"trained_at": record.trained_at, **score}
        families.append(facts)
    return {
        "task": slot.task,
        "resolution_s": slot.step_s,
        "horizon": slot.horizon,
        "champion": slot.champion or None,
        "champion_family": slot.champion_family or None,
        "previous": slot.previous or None,
        "challenger": slot.challenger or None,
        "candidate": slot.candidate or None,
        "families": families,
        "baselines": baselines,
        "vetoed": dict(slot.vetoed),
        "skipped": slot.skipped or None,
    }


def show_registered(listing: Values) -> None:
    """The listing as tables, one for each task of each meter."""
    for meter in listing["meters"]:
        about = ["SIMULATED"] if meter["simulated"] else []
        about += [f"quality {meter['quality']}"] if meter["quality"] else []
        about += ["registered last"] if meter["id"] == listing["latest_meter"] else []
        about = ["answers for meters that have no model of their own"] if meter["id"] == STAR else about
        say(f"meter {meter['id']}" + (f" ({', '.join(about)})" if about else ""))
        for task in meter["tasks"]:
            _show_task(task)


def _show_task(task: Values) -> None:
    of = f"{task['task']}: "
    if task["skipped"]:
        say(f"\n  {of}skipped, {task['skipped']}\n")
        return
    rows = table(f"  {of}{task['horizon']} x {step_in_words(task['resolution_s'])}", "", "MAE kW", "RMSE kW", "skill MAE / RMSE", "id")
    for family in sorted(task["families"], key=lambda family: not family["champion"]):
        role = "champion" if family["champion"] else "vetoed" if family["vetoed"] else ""
        figures = [f"{family['mae']:.4f}", f"{family['rmse']:.4f}", _skill(family["skill"])] if "mae" in family else ["", "", ""]
        rows.add_row(f"  {family['title']}", role, *figures, family["bundle"][:12])
    for name, errors in task["baselines"].items():
        rows.add_row(f"  {TITLES[name]}", "baseline", f"{errors['mae']:.4f}", f"{errors['rmse']:.4f}", "", "", style="italic")
    stdout().print(rows)
    if not task["champion"]:
        say(f"  {of}no champion: a baseline answers")
    for family, why in task["vetoed"].items():
        say(f"  {family_of(family).title} is vetoed: {why}")
    if task["vetoed"] or not task["champion"]:
        say("")


def inside(bundle: Bundle, size_bytes: int, replayed: str) -> Values:
    """What an opened bundle holds, as plain values."""
    manifest = asdict(bundle.manifest)
    del manifest["models"]
    zone = bundle.manifest.meter.zone
    manifest["train_start"], manifest["train_end"] = (iso(manifest.pop(f"train_{side}_s"), zone) for side in ("start", "end"))
    files = {name: {"sha256": digest, "size_bytes": len(bundle.members[name])} for name, digest in manifest.pop("files").items()}
    models = [_model(facts) for facts in bundle.manifest.models]
    return {"id": bundle.id, "size_bytes": size_bytes, **manifest, "models": models, "files": files, "replay": replayed}


def _model(facts: ModelFacts) -> Values:
    return {
        "name": facts.name,
        "least_readings": facts.least_readings,
        "history_steps": facts.spec.history_steps,
        "features": list(facts.spec.names),
        "in_words": list(in_words(facts.spec)),
        "validation": score_as_values(facts.validation),
    }


def show_inside(facts: Values) -> None:
    """The inside of a bundle for a person."""
    meter = facts["meter"]
    say(f"bundle {facts['id']}")
    say(f"  {facts['task']}, {family_of(facts['family']).title}, format {facts['format']}, {facts['size_bytes']:,} bytes")
    say(f"  meter {meter['id']}{' (SIMULATED)' if meter['simulated'] else ''}, {meter['zone']}, {meter['flow']}")
    say(f"  trained on {facts['train_rows']:,} readings of {facts['step_s']} s, {facts['train_start']} to {facts['train_end']}")
    settings = facts["params"].get("settings", {key: member[:12] for key, member in facts["params"].get("members", {}).items()})
    drawn = {name: facts["params"][name] for name in ("seed", "threads") if name in facts["params"]}
    say(f"  {'settings' if drawn else 'the mean of'} {_pairs(settings | drawn)}")
    say(f"  made with {_pairs(facts['versions'])}; {facts['replay']}")
    for model in facts["models"]:
        say(f"\nmodel {model['name']}: {len(model['features'])} features; answers from {model['least_readings']} readings on")
        for words in model["in_words"]:
            say(f"  {words}")
        _show_validation(model["validation"])
    files = table("file", "bytes", "SHA-256")
    for name, file in facts["files"].items():
        files.add_row(name, f"{file['size_bytes']:,}", file["sha256"][:12])
    stdout().print(files)


def _show_validation(score: Values) -> None:
    rows = table(f"validation inside the training span, {score['n']:,} rows", "MAE kW", "RMSE kW", "skill MAE / RMSE")
    rows.add_row("this model", f"{score['mae']:.4f}", f"{score['rmse']:.4f}", _skill(score["skill"]))
    for name, errors in score["baselines"].items():
        rows.add_row(TITLES[name], f"{errors['mae']:.4f}", f"{errors['rmse']:.4f}", "", style="italic")
    stdout().print(rows)


def in_words(spec: FeatureSpec) -> Iterator[str]:
    """What a model looks at, a line for each part of its spec."""
    yield _TARGETS[spec.target]
    yield from (f"{part.column}: {'; '.join(_recent_in_words(part))}" for part in spec.recent)
    yield from (line for part in spec.seasonal for line in _seasonal_in_words(part))
    for known in spec.known:
        yield f"{known.column}: as known ahead of the time forecast"
    if spec.calendar:
        holidays = f" ({len(spec.holidays)} holidays known)" if "holiday" in spec.calendar else ""
        yield f"{', '.join(spec.calendar)} of the time forecast{holidays}".replace("_", " ")


def _recent_in_words(part: Recent) -> Iterator[str]:
    if 0 in part.offsets:
        yield "the last reading"
    if earlier := tuple(offset for offset in part.offsets if offset):
        yield f"those {_numbers(earlier)} before the last"
    for kind, widths in (("mean", part.means), ("spread", part.spreads), ("extremes", part.extremes)):
        if widths:
            yield f"{kind} of the last {_numbers(widths)}"
    if part.changes:
        yield f"change over the last {_numbers(part.changes)}"
    if part.event is not None:
        yield f"age and size of the last {f'{part.events} changes' if part.events > 1 else 'change'} above {part.event:g}"
    if part.counts:
        yield f"how many such changes in the last {_numbers(part.counts)}"
    if part.level is not None:
        yield f"how long above or below {part.level:g}, now and the last {part.runs} times"


def _seasonal_in_words(part: Seasonal) -> Iterator[str]:
    about = ("" if part.column == "power_kw" else f" of {part.column}") + (f", {part.nearby} steps around it too" if part.nearby else "")
    if part.days:
        yield f"the same time {_numbers(part.days)} days before{about}"
    if part.hours:
        yield f"the load {_numbers(part.hours)} hours before{about}"
    for mean in part.means:
        yield f"mean of the same time {_numbers(mean)} days before{about}"
    if part.kinds:
        yield f"mean of the same time on days of the same kind, last {_numbers(part.kinds)} days{about}"


def _numbers(values: tuple[int, ...]) -> str:
    """1, 2, 3, 5 as "1-3, 5"."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _skill(skill: Mapping[str, float | None]) -> str:
    return " / ".join("" if skill[measure] is None else f"{skill[measure]:+.1%}" for measure in ("mae", "rmse"))


def score_as_values(score: Score) -> Values:
    """The score as plain values, None where a figure is not defined."""
    values: Values = asdict(score)
    values["skill"] = {name: _defined(value) for name, value in score.skill.items()}
    return {name: _defined(value) if isinstance(value, float) else value for name, value in values.items()}


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
