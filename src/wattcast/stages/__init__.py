"""DVC's entry points: each reads its inputs, calls one pure function, writes its outputs. `python -m wattcast.stages.NAME`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from wattcast.errors import WattcastError, explain


def run(stage: Callable[[], None]) -> None:
    """Run a stage's main; a refusal is one line and its hint on stderr, exit 1, no trace."""
    try:
        stage()
    except WattcastError as error:
        sys.exit(explain(error))
    except KeyboardInterrupt:
        sys.exit("stopped: what was finished is kept, the next run goes on from there")
