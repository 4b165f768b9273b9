"""DVC's entry points: each reads its inputs, calls one pure function, writes its outputs. `python -m wattcast.stages.NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType

from wattcast.errors import Unavailable, WattcastError, explain

_STOPPED = "stopped: what was finished is kept, the next run goes on from there"


def run(stage: Callable[[], None]) -> None:
    """Run a stage's main; a refusal is one line and its hint on stderr, exit 1, no trace."""
    try:
        stage()
    except WattcastError as error:
        sys.exit(explain(error))
    except OSError as cause:
        said = f"{cause.filename or 'a file'}: {cause.strerror or cause}"
        sys.exit(explain(Unavailable(said, "check disk space and permissions, then run it again")))
    except KeyboardInterrupt:
        sys.exit(_STOPPED)


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while a stage still imports its libraries, before `run` can say so."""
    if issubclass(kind, KeyboardInterrupt):
        print(_STOPPED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# "-m" stands there only while Python finds the stage that it was asked to run: whoever imports a stage keeps their own hook.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _told
