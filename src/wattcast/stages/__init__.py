"""DVC's entry points: each reads its inputs, calls one pure function, writes its outputs. `python -m wattcast.stages.NAME`."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from types import TracebackType

from wattcast.adapters.interrupts import interrupts_kept
from wattcast.errors import Unavailable, WattcastError, explain

_STOPPED = "stopped: what was finished is kept, the next run goes on from there"


def run(stage: Callable[[], None]) -> None:
    """Run a stage's main; whatever ends it is one line and its hint on stderr, exit 1, no trace."""
    try:
        with interrupts_kept():
            stage()
    except WattcastError as error:
        sys.exit(explain(error))
    except OSError as cause:
        said = f"{cause.filename or 'a file'}: {cause.strerror or cause}"
        sys.exit(explain(Unavailable(said, "check disk space and permissions, then run it again")))
    except KeyboardInterrupt:
        sys.exit(_STOPPED)
    except Exception as cause:  # noqa: BLE001 (the trace is kept in a file)
        sys.exit(_unforeseen(cause))


def _unforeseen(cause: BaseException) -> str:
    """A fault of ours in words; its trace is kept in the system's temporary folder."""
    place = traceback.extract_tb(cause.__traceback__)[-1]
    said = " ".join(f"{type(cause).__name__}: {cause}".split())[:300] + f" in {place.filename}:{place.lineno}"
    with tempfile.NamedTemporaryFile("w", prefix="wattcast-", suffix=".txt", delete=False, encoding="utf-8") as kept:
        kept.writelines(traceback.format_exception(cause))
    return explain(WattcastError(f"this should not have happened: {said}", f"report it, with the trace in {kept.name}"))


def _told(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """What ends a stage that still imports its libraries, before `run` can say so."""
    print(_STOPPED if isinstance(error, KeyboardInterrupt) else _unforeseen(error), file=sys.stderr)


# "-m" stands there only while Python finds the stage that it was asked to run: whoever imports a stage keeps their own hook.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _told
