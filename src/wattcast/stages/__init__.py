"""DVC's entry points: each reads its inputs, calls one pure function, writes its outputs. `python -m wattcast.stages.NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from wattcast.errors import Unavailable, WattcastError, explain


def run(stage: Callable[[], None]) -> None:
    """Run a stage's main; a refusal is one line and its hint on stderr, exit 1, no trace."""
    try:
        stage()
    except WattcastError as error:
        sys.exit(explain(error))
    except OSError as cause:
        sys.exit(
            explain(
                Unavailable(
                    f"{cause.filename or 'a file'}: {cause.strerror or cause}", "check disk space and permissions, then run it again"
                )
            )
        )
    except KeyboardInterrupt:
        sys.exit("stopped: what was finished is kept, the next run goes on from there")
