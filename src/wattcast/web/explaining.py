"""Forecasts taken apart in a process of their own: the learners' libraries are heavy, and what reads their own files may fall over.

A worker sends a model file and the readings before the origin, and gets back one JSON object; the process ends with its answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from typing import Any

from wattcast.errors import BadBundle, NotEnoughHistory, Unavailable, WattcastError
from wattcast.forecasting.forecast import Forecast
from wattcast.meter.table import MeterTable
from wattcast.ports import ModelStore

_KINDS = {kind.__name__: kind for kind in (BadBundle, NotEnoughHistory, Unavailable)}
_REMEMBERED = 64
# Below the time that a server which is told to stop leaves its requests.
_LIMIT_S = 15.0
_AGAIN = "try again in a moment"
PYTHON = sys.executable

Key = tuple[str, int, str]


class Explainer:
    """Takes forecasts apart, one at a time in this worker, and remembers the latest answers by bundle, origin and readings."""

    def __init__(self, store: ModelStore, limit_s: float = _LIMIT_S) -> None:
        self._store = store
        self.limit_s = limit_s
        self._one = threading.Lock()
        self._said: OrderedDict[Key, dict[str, Any]] = OrderedDict()

    def explain(self, forecast: Forecast, readings: MeterTable) -> dict[str, Any] | None:
        """What each group adds to the forecast's mean, as `Contributions.to_json` says it; None while another one is being taken apart.

        readings: those that the forecast was made from. Raises what `contributions.explain` raises, and Unavailable where the process
        fails or takes too long.
        """
        before = readings.until(forecast.origin_s)
        key = (forecast.version, forecast.origin_s, before.sha256())
        if key not in self._said:
            if not self._one.acquire(blocking=False):
                return None
            try:
                if key not in self._said:
                    self._remember(key, self._ask(forecast, before))
            finally:
                self._one.release()
        said = self._said[key]
        if "refused" in said:
            # What was not installed for this forecast is not looked for again.
            then = ", then start the service again" if said["refused"] == Unavailable.__name__ else ""
            raise _KINDS[said["refused"]](said["message"], said["hint"] + then)
        return said

    def _remember(self, key: Key, said: dict[str, Any]) -> None:
        self._said[key] = said
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)

    def _ask(self, forecast: Forecast, before: MeterTable) -> dict[str, Any]:
        """The answer of the process, a refusal among them. Raises Unavailable where there is none in time."""
        bundle = self._store.bundle(forecast.version)
        # -P: the folder that the service runs in is no place to import from.
        words = [PYTHON, "-P", "-m", __name__, forecast.version, str(len(bundle)), str(forecast.origin_s)]
        sent = bundle + before.to_bytes()
        few = os.environ | {"OMP_NUM_THREADS": "1"}
        try:
            ended = subprocess.run(words, input=sent, env=few, capture_output=True, timeout=self.limit_s, check=False)
        except subprocess.TimeoutExpired as cause:
            raise Unavailable(f"a forecast was not taken apart within {self.limit_s:g} s", _AGAIN) from cause
        except OSError as cause:
            raise Unavailable(f"no process can be started to take a forecast apart: {cause}", _AGAIN) from cause
        if ended.returncode:
            last = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise Unavailable(f"the process that takes forecasts apart ended with {ended.returncode}: {''.join(last)}", _AGAIN)
        said: dict[str, Any] = json.loads(ended.stdout)
        return said


def _answer(bundle_id: str, bundle: bytes, readings: bytes, origin_s: int) -> dict[str, Any]:
    from wattcast.forecasting.bundle import open_bundle  # noqa: PLC0415 (the process that explains only)
    from wattcast.forecasting.contributions import explain  # noqa: PLC0415

    try:
        table = MeterTable.from_bytes(readings)
        opened = open_bundle(bundle, expected_id=bundle_id, native=True)
        return explain(opened, table, (origin_s - table.start_s) // table.step_s).to_json()
    except WattcastError as refusal:
        if type(refusal).__name__ not in _KINDS:
            raise
        return {"refused": type(refusal).__name__, "message": refusal.message, "hint": refusal.hint}


def main() -> None:
    """The process: bundle id, length of the bundle and origin as arguments, bundle and readings on stdin, JSON on stdout."""
    # Both learners look for these where they are installed, need none of them here, and take five times as long with them.
    sys.modules.update(dict.fromkeys(("dask", "pandas", "sklearn")))  # type: ignore[arg-type]
    bundle_id, length, origin_s = sys.argv[1:]
    sent = sys.stdin.buffer.read()
    # Learners speak on stdout too: that is sent where errors go.
    answer_to = os.dup(1)
    os.dup2(2, 1)
    said = _answer(bundle_id, sent[: int(length)], sent[int(length) :], int(origin_s))
    with os.fdopen(answer_to, "w", encoding="utf-8") as out:
        json.dump(said, out, allow_nan=False)


if __name__ == "__main__":
    main()
