"""Commands that do the main job: a meter file through the pipeline, and the service."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside, stdout
from wattcast.cli.options import Store, settings_of
from wattcast.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from wattcast.config import Params, Settings

SAMPLE = Path("data/raw/simulated-house.txt")
UCI = Path("data/raw/household_power_consumption.txt")

Data = Annotated[str, typer.Option("--data", metavar="FILE", help="The meter file, or: sample. Without it, the one in params.yaml.")]
Sent = Annotated[str, typer.Option("--meter", metavar="ID", help="A meter that sent readings: these, over the file it began with.")]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on. Without it 5000, or the next free one.")]


def run(*, data: Data = "", port: Port = None, json: AsJson = False) -> None:
    """Run the pipeline for a meter file, print the scorecard, and serve forecasts."""
    from wattcast.web.server import refuse_busy, refuse_strangers

    settings = settings_of(port=port)
    refuse_strangers(settings)
    if port:
        refuse_busy(settings)
    meter = _pipeline(data, settings, json=json)
    sys.stdout.flush()
    # A new image of the process: workers are forked from one that has loaded no reader of files and no learner.
    port_words = [] if port is None else ["--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "wattcast.cli", "serve", "--meter", meter, *port_words])  # noqa: S606


def pipeline(*, data: Data = "", meter: Sent = "", json: AsJson = False) -> None:
    """Run the pipeline for a meter file: preprocess, train, evaluate, register. Only what has changed runs."""
    if data and meter:
        raise typer.BadParameter("name a file or a meter, not both", param_hint="--meter")
    _pipeline(data, settings_of(), meter=meter, json=json)


def serve(
    *,
    port: Port = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")] = "",
    meter: Annotated[str, typer.Option(help="The meter that the page shows first.")] = "",
    create_key: Annotated[bool, typer.Option("--create-key", help="Make an admin key where there is none, and print it once.")] = False,
    store: Store = None,
) -> None:
    """Serve the page, the API and the forecasts of the registered meters. Where others can reach it, it needs a key."""
    from wattcast.web import server

    settings = settings_of(port=port, host=host or None, meter=meter or None, store=store)
    if create_key:
        _first_key(settings)
    server.serve(settings, port_given="port" in settings.model_fields_set, say=say)
    say("stopped")


def _first_key(settings: Settings) -> None:
    from wattcast.access import new_key
    from wattcast.adapters.database import Database, DatabaseKeys

    database = Database(settings.database_url)
    kept = DatabaseKeys(database)
    if any(key.revoked_s is None for key in kept.all()):
        say("there is a key already: none was made")
    else:
        key, text = new_key("first", ["admin"], "", int(time.time()))
        kept.add(key)
        say(f"admin key {key.id}, not shown again: {text}")
    database.close()


def sample(
    *,
    out: Annotated[Path | None, typer.Option(help="Where the file goes.", show_default=str(SAMPLE))] = None,
    days: Annotated[int, typer.Option(min=1, max=4_000, help="How many days of minutes.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another house.")] = 20_240_101,
    heat_pump: Annotated[bool, typer.Option("--heat-pump", help="With a heat pump, and a temperature forecast beside it.")] = False,
    json: AsJson = False,
) -> None:
    """Simulate a house and write its readings as a meter file."""
    from wattcast.adapters.files import write_atomically
    from wattcast.config import meter_id_of
    from wattcast.meter.sample import House, as_uci_text, simulate
    from wattcast.meter.weather import as_csv, temperature_forecast

    out = out or SAMPLE.with_name("simulated-heat-pump.txt" if heat_pump else SAMPLE.name)
    weather = out.with_name(f"{out.stem}-weather.csv")
    for path in (out, weather) if heat_pump else (out,):
        if path.exists():
            raise Unavailable(f"{path} is there already", "name another file with --out, or delete it")
    if heat_pump:
        write_atomically(weather, as_csv(temperature_forecast(House().first_day, days, seed)))
    write_atomically(out, as_uci_text(simulate(days, seed, heat_pump=heat_pump)))
    if json:
        print_json({"path": str(out), "days": days, "seed": seed, "simulated": True} | ({"known": str(weather)} if heat_pump else {}))
        return
    say(f"{out}: {days} days of minutes of a SIMULATED house{' with a heat pump' if heat_pump else ''}")
    if heat_pump:
        say(f"{weather}: what was forecast of the temperature outside it, every 6 hours for the next 72")
        say(f"to use both, params.yaml needs under meters:  {meter_id_of(out)}: {{simulated: true, known: {weather}}}")
        say("and in the models of day_ahead:  known: [{column: temperature_c, offsets: [0], means: [6, 24]}]")
    elif out.name != SAMPLE.name:
        say(f"for pages to say so too, params.yaml needs under meters:  {meter_id_of(out)}: {{simulated: true}}")


def data() -> None:
    """Download the full UCI household file (20 MB, four years of minutes) into data/raw/."""
    from rich.console import Console

    from wattcast.adapters.uci import fetch, shown_on

    with shown_on(Console(stderr=True)) as progress:
        path = fetch(UCI, progress=progress)
    say(f"{path} is whole. Next: make run DATA={path}")


def remote(
    url: Annotated[str, typer.Argument(metavar="URL", help="The bucket, with a prefix in it: s3://bucket/prefix.", show_default=False)],
    *,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="An S3 server other than Amazon's.")] = "",
) -> None:
    """Have DVC push meter files, tables and models to S3, and pull them from there (make remote S3_URL=... installs what it needs)."""
    from wattcast.adapters.dvc import require_project
    from wattcast.adapters.remote import set_remote

    require_project()
    set_remote(url, endpoint)
    say(f"{url} answers: DVC pushes to it and pulls from it (noted in .dvc/config.local, which is not for git)")
    say("to push a run:   dvc push, and commit params.yaml, dvc.lock, data/raw/*.dvc and metrics/")
    say("to fetch a run:  dvc pull, then make run (dvc is .venv/bin/dvc)")


def _pipeline(data: str, settings: Settings, *, meter: str = "", json: bool) -> str:
    """Run the pipeline and print the scorecard; the id of the meter."""
    from wattcast.adapters.dvc import reproduce, require_project
    from wattcast.adapters.project import alone, meter_of
    from wattcast.adapters.wiring import connect
    from wattcast.config import load_params

    speak = say_aside if json else say
    require_project()
    with alone():
        file = _renewed(meter, load_params(), settings, speak) if meter else _in_place(data, load_params(), speak)
        meter = meter_of(file)
        reproduce(meter, connect(settings).store, speak, output=sys.stderr if json else None)
        _print_scorecard(json=json)
    return meter


def _in_place(data: str, params: Params, speak: Callable[[str], None]) -> Path:
    """The meter file to run for, in its place, checked where it is new, and named in params.yaml."""
    from wattcast.adapters.project import RAW, bring_in, choose, has, refuse_twin
    from wattcast.cli.looking import refuse_unbelievable

    source = SAMPLE if data == "sample" else Path(data or params.meter.file)
    refuse_twin(source)
    if source == SAMPLE:
        speak(f"{SAMPLE}: SIMULATED readings of a made-up house (make run DATA=your-file.csv for your own)")
        if not source.exists():
            _simulate(source)
    elif not data and not source.exists():
        hint = "make run DATA=your-file.csv names another one; dvc pull fetches this one, where a remote has it"
        raise Unavailable(f"{source} is not there, and params.yaml names it as meter.file", hint)
    elif not has(source):
        refuse_unbelievable(source, params, tell=False)
    file = bring_in(source, speak) if data or source.parent == RAW else source
    choose(file, speak)
    return file


def _renewed(meter: str, params: Params, settings: Settings, speak: Callable[[str], None]) -> Path:
    """All that is known of a meter which sends readings as its file in data/raw, checked before, and named in params.yaml."""
    from tempfile import TemporaryDirectory

    from wattcast.adapters.project import EXPORTED, bring_in, choose
    from wattcast.adapters.wiring import connect, connect_live
    from wattcast.cli.looking import refuse_unbelievable
    from wattcast.meter.readers.parquet import as_parquet
    from wattcast.stages.readings import known_of

    live = connect_live(settings, connect(settings).snapshots)
    try:
        table, files = known_of(meter, live.readings, params)
    finally:
        live.close()
    with TemporaryDirectory(prefix="wattcast-") as folder:
        source = Path(folder) / f"{meter}{EXPORTED}"
        source.write_bytes(as_parquet(table))
        refuse_unbelievable(source, params, tell=False)
        file = bring_in(source, lambda _: None)
    under = f", over {' and '.join(map(str, files))}" if files else ": data/raw held no file of it"
    speak(f"{file}: the readings of meter {meter} that have arrived{under}; tracked by DVC, {file}.dvc is for git")
    choose(file, speak)
    return file


def _simulate(path: Path, days: int = 400, seed: int = 20_240_101) -> None:
    from wattcast.adapters.files import write_atomically
    from wattcast.meter.sample import as_uci_text, simulate

    write_atomically(path, as_uci_text(simulate(days, seed)))


def _print_scorecard(*, json: bool) -> None:
    from wattcast.stages.outputs import METRICS

    if json:
        print((METRICS / "scorecard.json").read_text("utf-8"))
        return
    card = (METRICS / "scorecard.md").read_text("utf-8")
    if not sys.stdout.isatty():
        print(card)
        return
    from rich.markdown import Markdown

    stdout().print(Markdown(card))
