"""Answers without a network: the WSGI app is called in this process, timed, and looked into.

`python -m served.in_process` reads a JSON list of questions from its input and writes what each cost; the settings come from the
environment. Looking into an answer means to interrupt it every millisecond and to note which part of the service was at work:
unlike a tracing profiler that makes no part look slower than it is.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from types import CodeType, FrameType
from typing import Any

from measure import environment

from served.load import Request
from served.servers import BENCHMARKS

FLASK, REST, AROUND = "Flask itself", "who answers, and the rest", "key, limit, headers, log line, metrics"
DECODING, TABLE, FEATURES, MODEL, ANSWER = "decoding", "cleaning to a table", "features", "model", "answer and encoding"
STORED = "stored readings, forecast log"
PARTS = (FLASK, AROUND, DECODING, TABLE, STORED, FEATURES, MODEL, ANSWER, REST)
# Part of a path (and function) -> part of an answer; the first that fits. What fits none counts for whoever called it.
_RULES = (
    ("/flask/app.py:wsgi_app", FLASK),
    ("/wattcast/web/api/operations.py:_body", DECODING),
    ("/wattcast/web/api/operations.py:_query", DECODING),
    ("/wattcast/web/api/operations.py", ANSWER),
    ("/wattcast/web/api/forecasts.py:answer_of", ANSWER),
    ("/wattcast/web/api/sent.py", TABLE),
    ("/wattcast/meter/clock.py", ""),
    ("/wattcast/meter/", TABLE),
    ("/wattcast/adapters/", STORED),
    ("/wattcast/web/cache.py", STORED),
    ("/wattcast/web/security/", AROUND),
    ("/wattcast/web/telemetry.py", AROUND),
    ("/wattcast/web/app.py", AROUND),
    ("/flask_limiter/", AROUND),
    ("/flask_wtf/", AROUND),
    ("/wattcast/forecasting/features.py", FEATURES),
    ("/wattcast/forecasting/lookback.py", FEATURES),
    ("/wattcast/forecasting/seasons.py", FEATURES),
    ("/wattcast/forecasting/heads.py", MODEL),
    ("/wattcast/forecasting/intervals.py", MODEL),
    ("/wattcast/forecasting/day_totals.py", MODEL),
    ("/wattcast/forecasting/forecast.py", ""),
    ("/wattcast/forecasting/origins.py:steps_of", ANSWER),
    ("/wattcast/", REST),
)
_EVERY_S = 0.001
_WARM = 20


@dataclass(frozen=True)
class Question:
    """What is asked, how often (0: for so many seconds), and whether to look into the answers."""

    requests: Sequence[Request]
    repeats: int = 0
    seconds: float = 0.0
    look: bool = False


@dataclass(frozen=True)
class Cost:
    """The median time of an answer, and the share of each part of it ({} where nobody looked)."""

    ms: float
    shares: Mapping[str, float]


def costs(questions: Sequence[Question], **variables: str) -> list[Cost]:
    """What these questions cost in a process of its own, whose settings are these variables. Exits where one is refused."""
    command = [sys.executable, "-m", "served.in_process"]
    asked = json.dumps([asdict(question) for question in questions])
    run = subprocess.run(command, input=asked, env=environment() | variables, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{run.stderr[-2000:]}\nerror: {' '.join(command)} ended with exit code {run.returncode}")
    return [Cost(**found) for found in json.loads(run.stdout)]


def part_of(frame: FrameType | None) -> str:
    """The part of an answer that is at work in this frame; "" outside of one."""
    part = ""
    while frame is not None:
        found = _part_of_code(frame.f_code)
        if found == FLASK:
            return part or FLASK
        part = part or found
        frame = frame.f_back
    return ""


@cache
def _part_of_code(code: CodeType) -> str:
    place = f"{code.co_filename}:{code.co_name}"
    return next((part for pattern, part in _RULES if pattern in place), "")


def _main() -> None:
    from werkzeug.test import EnvironBuilder  # noqa: PLC0415 (only the process that answers needs the service)

    from wattcast.config import load_settings  # noqa: PLC0415
    from wattcast.web.app import create_app  # noqa: PLC0415

    app = create_app(load_settings())

    def asked(request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        body = request["body"].encode()
        made = EnvironBuilder(request["path"], method=request["method"], headers=request["headers"], data=body).get_environ()
        return {**made, "REMOTE_ADDR": "127.0.0.1"}, body

    found = []
    for question in json.load(sys.stdin):
        calls = [asked(request) for request in question["requests"]]
        found.append(asdict(_cost(app, calls, question["repeats"], question["seconds"], look=question["look"])))
    json.dump(found, sys.stdout)


def _cost(app: Any, calls: Sequence[tuple[dict[str, Any], bytes]], repeats: int, seconds: float, *, look: bool) -> Cost:
    for number in range(min(_WARM, max(repeats, 2))):
        _call(app, *calls[number % len(calls)])
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < repeats or time.perf_counter() < until:
        times.append(_call(app, *calls[len(times) % len(calls)]))
    shares: Counter[str] = Counter()
    if look:
        with _interrupted(shares):
            until, number = time.perf_counter() + seconds, 0
            while time.perf_counter() < until:
                _call(app, *calls[number % len(calls)])
                number += 1
    shares.pop("", None)
    return Cost(median(times) * 1e3, {part: shares[part] / shares.total() for part in PARTS if shares[part]})


def _call(app: Any, environ: dict[str, Any], body: bytes) -> float:
    """Seconds that one answer took, to its last byte. Raises SystemExit unless it is 200."""
    given: list[str] = []
    fresh = {**environ, "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr}
    began = time.perf_counter()
    said = app(fresh, lambda status, _headers, _fault=None: given.append(status))
    content = b"".join(said)
    took = time.perf_counter() - began
    if not given[0].startswith("200"):
        raise SystemExit(f"{given[0]}: {content[:500]!r}")
    return took


@contextmanager
def _interrupted(shares: Counter[str]) -> Iterator[None]:
    def note(_number: int, frame: FrameType | None) -> None:
        shares[part_of(frame)] += 1

    signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, _EVERY_S, _EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    _main()
