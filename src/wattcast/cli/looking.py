"""Commands that look and change nothing: a meter file's quality, the registered models, one bundle."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside, stdout, table
from wattcast.cli.options import Store, params_here, settings_of
from wattcast.errors import BadBundle, BadMeterFile, RegistryConflict, Unavailable

if TYPE_CHECKING:
    from wattcast.config import Params
    from wattcast.forecasting.bundle import Bundle
    from wattcast.meter.quality import QualityReport
    from wattcast.ports import ModelStore

MeterFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A meter file: UCI text or any CSV (plain, zip or gzip), or Parquet.", show_default=False)
]
_SHORTEST_PREFIX = 4


def check(file: MeterFile, *, json: AsJson = False) -> None:
    """Judge a meter file: good, usable or refused, with reasons and figures. Exit 1 where it is refused."""
    report = _quality(file, params_here())
    if json:
        print_json({"file": str(file), **report.to_json()})
    else:
        say("\n".join([f"{file}: {report.verdict}", *(f"  {line}" for line in (*report.reasons, *report.notes))]))
        figures = table("figure", "value")
        for name, value in report.figures.items():
            figures.add_row(name.replace("_", " ").replace(" kw", " kW"), f"{value:,}" if isinstance(value, int | float) else value)
        stdout().print(figures)
    _refuse(file, report)


def models(*, store: Store = None, json: AsJson = False) -> None:
    """List every meter and task: champion, families beside their baselines, who was vetoed and why."""
    from wattcast.adapters.wiring import connect
    from wattcast.cli.listing import registered, show_registered

    kept = connect(settings_of(store=store)).store
    manifest = kept.manifest()
    records = {}
    for bundle in {bundle for slot in manifest.slots.values() for bundle in slot.named()}:
        try:
            records[bundle] = kept.record(bundle)
        except RegistryConflict as cause:
            typer.echo(f"warning: {cause.message}", err=True)
    listing = registered(manifest, records)
    if json:
        print_json(listing)
    elif listing["meters"]:
        show_registered(listing)
    else:
        say("no meter is registered yet: make run, or wattcast pipeline --data FILE")


def inspect(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="A .wattcast file, or the beginning of a registered id.", show_default=False)
    ],
    *,
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Open a model file: what it is, what it looks at, how it did. Exit 1 where it is torn, altered or not ours."""
    from wattcast.adapters.wiring import connect
    from wattcast.cli.listing import inside, show_inside
    from wattcast.forecasting.bundle import open_bundle

    kept = connect(settings_of(store=store)).store
    data, expected = _bytes_of(bundle, kept)
    opened = open_bundle(data, expected_id=expected, native=True)
    facts = inside(opened, len(data), _replayed(opened, kept))
    if json:
        print_json(facts)
    else:
        show_inside(facts)


def refuse_unbelievable(file: Path, params: Params, *, tell: bool = True) -> None:
    """Raise BadMeterFile for a file that the pipeline would refuse; `tell` what makes one no more than usable."""
    report = _quality(file, params)
    _refuse(file, report)
    if tell and report.verdict == "usable":
        say_aside(f"{file} is usable: {' '.join(report.reasons)}")


def _quality(file: Path, params: Params) -> QualityReport:
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.quality import judge
    from wattcast.meter.readers import read
    from wattcast.stages.readings import read_options

    readings = read(file, read_options(params, file))
    return judge(readings, to_table(readings))


def _refuse(file: Path, report: QualityReport) -> None:
    if report.verdict == "refused":
        # The first reason sums up the file.
        raise BadMeterFile(f"{file} is refused: {' '.join(report.reasons[1:])}", "give a longer file, or one with fewer gaps")


def _bytes_of(name: str, store: ModelStore) -> tuple[bytes, str]:
    """The bytes of the bundle in this file, or in the store under an id that begins so; and the id it must have, where it is known."""
    path = Path(name)
    if path.is_file():
        try:
            return path.read_bytes(), ""
        except OSError as cause:
            raise Unavailable(f"{path} cannot be read: {cause.strerror}", "check its permissions") from cause
    if re.fullmatch(f"[0-9a-f]{{{_SHORTEST_PREFIX},64}}", name):
        slots = store.manifest().slots.values()
        known = sorted({bundle for slot in slots for bundle in slot.named() if bundle.startswith(name)})
        if len(known) > 1:
            raise BadBundle(f"{len(known)} registered bundles begin with {name}", "give more of its digits")
        if known or len(name) == 64:
            found = known[0] if known else name
            return store.bundle(found), found
    raise BadBundle(f"{name} is neither a file nor the beginning of a registered bundle's id", "wattcast models lists the ids")


def _replayed(bundle: Bundle, store: ModelStore) -> str:
    """What became of the forecasts that the bundle's record in the store expects. Raises BadBundle where they differ."""
    try:
        record = store.record(bundle.id)
    except RegistryConflict:
        bundle.golden_forecasts()
        return "it forecasts; the store has no record to compare with"
    bundle.replay(record.golden)
    return "it forecasts what its record says"
