"""`wattcast keys ...`: who may use a service that is open to others."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import AsJson, explained, print_json, say, say_aside, stdout, table
from wattcast.cli.options import Store, settings_of

if TYPE_CHECKING:
    from wattcast.adapters.database import DatabaseKeys

keys = typer.Typer(no_args_is_help=True, help="Keys of the service. Once there is one, every request needs one.")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as list shows it.", show_default=False)]


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what the key is for.", show_default=False)],
    *,
    scope: Annotated[
        list[str] | None, typer.Option(help="forecast, readings:read, readings:write, models or admin; several times. Default: forecast.")
    ] = None,
    meter: Annotated[str, typer.Option(help="The only meter that it is for. Without it: all.")] = "",
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Make a key. It is shown once and kept nowhere: only a hash of it is."""
    from wattcast.access import new_key

    key, text = new_key(name, scope or ["forecast"], meter, int(time.time()))
    _opened(store).add(key)
    if json:
        print_json({"id": key.id, "name": key.name, "scopes": list(key.scopes), "meter": key.meter, "key": text})
        return
    print(text)
    say_aside(f"key {key.id} for {name}: {', '.join(key.scopes)}{f', meter {meter} alone' if meter else ''}; it is not shown again")


def listed(*, store: Store = None, json: AsJson = False) -> None:
    """Show every key: what it allows, when it was made and revoked. Never its secret."""
    found = _opened(store).all()
    if json:
        print_json({"keys": [{name: value for name, value in asdict(key).items() if name != "digest"} for key in found]})
        return
    if not found:
        say("there is no key: on 127.0.0.1 the service asks for none (wattcast keys create NAME makes one)")
        return
    shown = table("id", "name", "scopes", "meter", "made", "revoked")
    for key in found:
        shown.add_row(key.id, key.name, ", ".join(key.scopes), key.meter or "all", _day(key.created_s), _day(key.revoked_s))
    stdout().print(shown)


def revoke(key_id: KeyId, *, store: Store = None) -> None:
    """Have a key count no more: within a second everywhere."""
    _opened(store).revoke(key_id, int(time.time()))
    say(f"key {key_id} counts no more")


def _day(instant_s: int | None) -> str:
    return "" if instant_s is None else datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%d %H:%M")


def _opened(store: Path | None) -> DatabaseKeys:
    from wattcast.adapters.database import Database, DatabaseKeys

    return DatabaseKeys(Database(settings_of(store=store).database_url))


for _command, _name, _example in (
    (create, "create", "wattcast keys create home-assistant --scope readings:write --scope forecast --meter house"),
    (listed, "list", "wattcast keys list"),
    (revoke, "revoke", "wattcast keys revoke 1f0c6a2b9d3e"),
):
    keys.command(_name, epilog=f"Example: {_example}")(explained(_command))
