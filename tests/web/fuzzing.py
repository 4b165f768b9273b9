"""Random requests made from the API's own description, and meter files with random damage, sent to a real server: `make fuzz`.

Nothing may be answered with 5xx, outside of what /openapi.json says, or later than in five seconds.
"""

from __future__ import annotations

import argparse
import gzip
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from running import Running
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from small_store import publish_two_meters
from tqdm import tqdm

LONGEST_S = 5
_CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]
_ROUND = 20
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_UPLOADS = (
    ("PUT", "/api/v1/meters/damaged-{number}/readings", (200, 400, 413, 422)),
    ("POST", "/api/v1/forecast?task=day_ahead", (200, 400, 413, 422)),
    ("POST", "/api/v1/forecast?task=next_minute", (200, 400, 413, 422)),
)
_SPLICES = (
    b"",
    b"\0",
    b'"',
    b";",
    b",",
    b"\r",
    b"\n",
    b"-",
    b"nan",
    b"1e400",
    b"9" * 30,
    b"9999-12-31 23:00",
    b"0001-01-01",
    b"\xff\xfe",
    b"\xf0\x9f",
)


@dataclass
class Tally:
    """What was sent, and what was wrong with the answers."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def note(self, status: int, took_s: float, asked: str) -> None:
        """One answer."""
        if took_s > LONGEST_S:
            self.fault(f"took {took_s:.1f} s", asked)
        self.sent += 1
        self.statuses[status] += 1
        self.slowest_s = max(self.slowest_s, took_s)

    def fault(self, what: str, asked: str) -> None:
        """Something that must not be."""
        self.faults.append(f"{what}\n    {asked[:2_000]}")

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} x {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.sent:,} sent: {counts}; slowest {self.slowest_s:.2f} s; {len(self.faults)} faults"


def fuzz_requests(url: str, count: int, chosen: int, bar: tqdm[Any] | None = None) -> Tally:
    """Requests as the description allows them and as it does not, for each operation in turn, until so many were sent."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    tally, number = Tally(), 0
    with requests.Session() as session:
        while tally.sent < count:
            for operation in operations:
                for mode in _MODES:
                    if tally.sent >= count:
                        break
                    number += 1
                    house = {"meter_id": "house"} if number % 5 < 2 and "{meter_id}" in operation.path else None
                    strategy = operation.as_strategy(generation_mode=mode, path_parameters=house)
                    before = tally.sent
                    _ask(session, url, strategy, min(_ROUND, count - tally.sent), chosen + number, tally)
                    if bar is not None:
                        bar.update(tally.sent - before)
    return tally


def _ask(session: requests.Session, url: str, strategy: Any, examples: int, chosen: int, tally: Tally) -> None:
    @seed(chosen)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=strategy)
    def ask(case: Case) -> None:
        if tally.sent - first < examples:
            _one(session, url, case, tally)

    first = tally.sent
    # What takes nothing cannot be asked wrongly.
    with suppress(Unsatisfiable):
        ask()


def _one(session: requests.Session, url: str, case: Case, tally: Tally) -> None:
    asked = case.as_curl_command()
    began = time.monotonic()
    try:
        answer = case.call(base_url=url, session=session, timeout=LONGEST_S)
    except requests.RequestException as cause:
        tally.note(0, time.monotonic() - began, asked)
        tally.fault(f"no answer: {cause}", asked)
        return
    tally.note(answer.status_code, time.monotonic() - began, asked)
    if answer.status_code >= 500:
        tally.fault(f"{answer.status_code}: {answer.text[:300]}", asked)
        return
    try:
        case.validate_response(answer, checks=_CHECKS)
    except FailureGroup as group:
        tally.fault("; ".join(f"{each.title}: {each.message[:300]}" for each in group.exceptions), asked)


def fuzz_uploads(url: str, count: int, chosen: int, bar: tqdm[Any] | None = None) -> Tally:
    """Meter files with random damage, as readings to keep and as readings to forecast from."""
    tally = Tally()
    with requests.Session() as session:
        for number, (body, headers) in enumerate(damaged(chosen, count)):
            method, path, known = _UPLOADS[number % len(_UPLOADS)]
            path = path.format(number=number)
            began, asked = time.monotonic(), f"{method} {path} {headers} {body!r}"
            try:
                answer = session.request(method, url + path, data=body, headers=headers, timeout=LONGEST_S)
            except requests.RequestException as cause:
                tally.note(0, time.monotonic() - began, asked)
                tally.fault(f"no answer: {cause}", asked)
                continue
            tally.note(answer.status_code, time.monotonic() - began, asked)
            kind = "application/json" if answer.ok else "application/problem+json"
            if answer.status_code not in known or answer.headers["Content-Type"] != kind or not answer.json():
                tally.fault(f"{answer.status_code}: {answer.text[:300]}", asked)
            if bar is not None:
                bar.update()
    return tally


def damaged(chosen: int, count: int) -> Iterator[tuple[bytes, dict[str, str]]]:
    """So many meter files, each with some damages or none, and the headers that they are sent with."""
    rng = random.Random(chosen)
    for _ in range(count):
        body = bytearray(_whole(rng))
        for _ in range(rng.choice((0, 1, 1, 2, 5))):
            first = rng.randrange(len(body) + 1)
            last = min(len(body), first + rng.choice((0, 1, 1, 2, 16, 200)))
            body[first:last] = rng.choice((*_SPLICES, rng.randbytes(rng.randint(1, 6)), bytes(body[last : last + 60])))
        data, headers = bytes(body), {"Content-Type": rng.choice(("text/csv", "text/csv; charset=utf-8", "application/csv"))}
        if rng.random() < 0.1:
            packed = bytearray(gzip.compress(data))
            if rng.random() < 0.5:
                packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
            data, headers = bytes(packed), {"Content-Type": "application/gzip"}
        yield data, headers


def _whole(rng: random.Random) -> bytes:
    """A meter file of some days as meters and tools write them."""
    separator, decimal = rng.choice(((",", "."), (";", ","), ("\t", "."), (";", ".")))
    minutes, rows = rng.choice((1, 15, 30, 60)), rng.randint(2, 200)
    names = rng.choice((("time", "power_kw"), ("timestamp", "energy_kwh", "voltage_v"), ("Date", "Time", "Global_active_power")))
    form = ("%d/%m/%Y", "%H:%M:%S") if names[0] == "Date" else ("%Y-%m-%d %H:%M:%S",)
    lines = [separator.join(names)]
    for row in range(rows):
        moment = datetime(2010, 11, 1, tzinfo=UTC) + timedelta(minutes=row * minutes)
        values = [f"{rng.random() * 3:.3f}".replace(".", decimal) for _ in names[len(form) :]]
        lines.append(separator.join((*map(moment.strftime, form), *values)))
    return "\n".join(lines).encode()


def main() -> int:
    """The command: exit 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="requests made from the description (default: %(default)s)")
    parser.add_argument("--uploads", type=int, default=20_000, help="damaged meter files (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="the seed of an earlier run, to have it again")
    chosen = parser.parse_args()
    began = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"seed {began}", flush=True)
    with tempfile.TemporaryDirectory(prefix="wattcast-fuzz-") as folder:
        publish_two_meters(Path(folder) / "store")
        server = Running(Path(folder) / "store", Path(folder) / "log", limit="").ready()
        try:
            tallies = []
            for words, fuzz, count in (("requests", fuzz_requests, chosen.requests), ("uploads", fuzz_uploads, chosen.uploads)):
                with tqdm(total=count, desc=words, disable=not sys.stderr.isatty()) as bar:
                    tallies.append(fuzz(server.url, count, began, bar))
                print(f"{words}: {tallies[-1]}", flush=True)
        finally:
            server.stop(signal.SIGTERM)
    faults = [fault for tally in tallies for fault in tally.faults]
    print("\n".join(faults[:50]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
