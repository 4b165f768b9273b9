"""`wattcast signing-keys ...`: pairs of keys that models are signed and verified with."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattcast.cli.console import AsJson, explained, print_json, say
from wattcast.errors import BadParams, WattcastError

signing_keys = typer.Typer(no_args_is_help=True, help="Keys that models are signed with, and that servers trust.")


def create(
    *, out: Annotated[Path, typer.Option(help="Name of both files, without the endings.")] = Path("wattcast-signing"), json: AsJson = False
) -> None:
    """Make a pair: NAME.key signs and is secret, NAME.pub verifies and is for every server. Never overwrites."""
    from wattcast.adapters.files import write_atomically
    from wattcast.adapters.signatures import key_id, new_pair

    if not out.name:
        raise BadParams(f'"{out}" is no name of a file', "--out takes the name of both files, without the endings")
    private, public = out.with_name(f"{out.name}.key"), out.with_name(f"{out.name}.pub")
    private_pem, public_pem = new_pair()
    write_atomically(public, public_pem, new=True)
    try:
        write_atomically(private, private_pem, mode=0o600, new=True)
    except WattcastError:
        public.unlink()
        raise
    identity = key_id(public)
    if json:
        print_json({"id": identity, "private": str(private), "public": str(public)})
        return
    say(f"key {identity}")
    say(f"{private}  signs: WATTCAST_SIGNING_KEY where models are registered. Keep it secret, and out of git")
    say(f"{public}  verifies: WATTCAST_TRUSTED_KEYS of every server. Anybody may have it")


def show(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Public or private keys.", show_default=False)],
    *,
    json: AsJson = False,
) -> None:
    """Show the id of each key, as refusals name it."""
    from wattcast.adapters.signatures import key_id

    ids = {str(path): key_id(path) for path in files}
    if json:
        print_json({"keys": [{"file": file, "id": identity} for file, identity in ids.items()]})
        return
    for file, identity in ids.items():
        say(f"{identity}  {file}")


for _command, _example in (
    (create, "wattcast signing-keys create --out release"),
    (show, "wattcast signing-keys show release.pub"),
):
    signing_keys.command(epilog=f"Example: {_example}", no_args_is_help=_command is show)(explained(_command))
