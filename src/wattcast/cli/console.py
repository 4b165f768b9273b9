"""How commands speak: results on stdout (as JSON where asked), everything else on stderr, and one line for whatever ends a command."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from wattcast.errors import WattcastError, explain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and everything else on stderr.")]

_PIPE_WIDTH = 120


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with what ends it said in a line and an exit status, never a trace (except with --verbose)."""

    @functools.wraps(command)
    def spoken(*words: Any, **options: Any) -> None:
        try:
            command(*words, **options)
            sys.stdout.flush()
        except (typer.Exit, typer.BadParameter):
            raise
        except KeyboardInterrupt as stop:
            _end(130, str(stop.args[0]) if stop.args else "stopped")
        except Exception as cause:
            if "--verbose" in sys.argv:
                raise
            _end(1, _in_words(cause))

    return spoken


def say(words: str) -> None:
    """A line on what is going on."""
    print(words, flush=True)


def say_aside(words: str) -> None:
    """A line on what is going on, beside a result that is JSON."""
    print(words, file=sys.stderr, flush=True)


def print_json(result: Any) -> None:
    """The result as JSON on stdout."""
    print(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def stdout() -> Console:
    """Where tables go: as wide as the terminal, wide enough for most where there is none."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    return Out(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def table(*columns: str) -> Table:
    """An empty table: the first column is text, the others are figures."""
    from rich import box
    from rich.table import Table

    empty = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        empty.add_column(column, justify="right" if number else "left")
    return empty


def _end(status: int, words: str) -> NoReturn:
    if words:
        print(words, file=sys.stderr)
    # What is left in the buffer of a broken or full stdout would be tried again at exit, and fail with a trace.
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(status)


def _in_words(cause: Exception) -> str:
    match cause:
        case WattcastError():
            return explain(cause) if cause.message else ""
        case BrokenPipeError():
            return "stopped: nobody reads the output any more"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"error: {cause.filename or 'the output'} cannot be written: the disk is full\nhint: free some space and try again"
        case OSError():
            return f"error: {cause.filename or 'input or output'}: {cause.strerror or cause}\nhint: check the path and its permissions"
        case _:
            said = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
            return f"error: this should not have happened ({said})\nhint: run it again with --verbose, and report what it prints"
