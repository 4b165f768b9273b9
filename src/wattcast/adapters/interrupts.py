"""Ctrl-C that cannot get lost: an exception raised while a library finalises or calls back from C is printed and forgotten."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_kept() -> Iterator[Callable[[], None]]:
    """Within the block Ctrl-C raises KeyboardInterrupt as ever; one that was swallowed is raised again at the end of the block.

    Gives a function that raises it too, to be called between pieces of long work. Outside the main thread it keeps nothing.
    """
    swallowed: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        swallowed.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if swallowed:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)
