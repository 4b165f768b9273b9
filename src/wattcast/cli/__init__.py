"""`wattcast ...`: words in, words out. Every command imports what it needs when it runs, so that help and serving start at once."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from wattcast.cli import backtesting, card, forecasting, looking, pooling, running, tuning
from wattcast.cli.console import explained
from wattcast.cli.database import db
from wattcast.cli.keys import keys
from wattcast.cli.registry import registry
from wattcast.cli.signing import signing_keys

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"wattcast {version('wattcast')}")
        raise typer.Exit


@app.callback(epilog="Example: wattcast run --data meter.csv")
def wattcast(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the trace of an error, not only its words.")] = False,
) -> None:
    """A meter file in, an honest load forecast out."""


_COMMANDS: list[tuple[Callable[..., None], str]] = [
    (running.run, "wattcast run --data meter.csv --port 5001"),
    (running.pipeline, "wattcast pipeline --data meter.csv"),
    (running.serve, "wattcast serve --port 8080"),
    (looking.check, "wattcast check meter.csv"),
    (forecasting.forecast, "wattcast forecast meter.csv --out tomorrow.csv"),
    (backtesting.backtest, "wattcast backtest meter.csv --refit-days 28"),
    (tuning.tune, "wattcast tune --task day_ahead --family lgbm --minutes 30"),
    (pooling.pool, "wattcast pool a.csv b.csv --simulated 40"),
    (looking.models, "wattcast models"),
    (card.card, "wattcast card --out docs/model-card.md"),
    (looking.inspect, "wattcast inspect models/day_ahead/lgbm/model.wattcast"),
    (running.sample, "wattcast sample --out house.txt --days 30"),
    (running.data, "wattcast data"),
    (running.remote, "wattcast remote s3://bucket/prefix"),
]
for _command, _example in _COMMANDS:
    # Without the word it cannot do without, a command shows how it is used.
    needs_a_word = _command in (looking.check, looking.inspect, forecasting.forecast, backtesting.backtest, running.remote)
    app.command(epilog=f"Example: {_example}", no_args_is_help=needs_a_word)(explained(_command))
app.add_typer(db, name="db")
app.add_typer(keys, name="keys")
app.add_typer(registry, name="registry")
app.add_typer(signing_keys, name="signing-keys")


def main() -> None:
    """The command line. Exit 0: done; 1: refused, with an error and a hint; 2: not a command; 130: stopped."""
    words = sys.argv[1:]
    if "--verbose" in words:
        # It counts wherever it stands.
        words = ["--verbose", *(word for word in words if word != "--verbose")]
    app(words)
