"""A thread of each worker that looks for what was published, and has it swapped in."""

from __future__ import annotations

import threading
import time

from wattcast.serving import Current
from wattcast.web.telemetry import log, took


class Watch:
    """Looks every so many seconds; 0: never, for then `POST /api/v1/admin/refresh` does."""

    def __init__(self, current: Current, every_s: float) -> None:
        self._current = current
        self._every_s = every_s
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. Not before the fork of a worker: no thread survives it."""
        if self._every_s:
            self._thread = threading.Thread(target=self._watch, name="published models", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End, once what is being loaded is loaded."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(self._every_s):
            try:
                look(self._current)
            except Exception as cause:  # noqa: BLE001 (whatever it is: a service that looks no more would answer from old models for ever)
                self._current.fault = f"the look for published models failed: {cause!r:.300}"
                log.exception("the look for published models failed")


def look(current: Current, *, at_once: bool = False) -> bool:
    """Take what was published, and tell of it where something changed; whether another service answers now."""
    before = current.fault
    changed = current.refresh(time.monotonic(), at_once=at_once)
    if changed:
        log.info("models swapped", serial=current.service.manifest.serial)
    if current.fault and current.fault != before:
        log.error("published models do not serve", why=current.fault)
    if changed or current.fault != before:
        took(current, swapped=changed)
    return changed
