"""Load by wrk: what is asked, in turn and over again, and how fast and how late it was answered. One wrong answer ends the benchmark."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

THREADS, CONNECTIONS = 1, 4
JSON = {"Content-Type": "application/json"}

# `init` and `request` run in wrk's thread; every request is put together before the clock starts.
_SCRIPT = """
local wanted, at = {{}}, 0
function init(args)
{requests}
end
function request()
  at = at % #wanted + 1
  return wanted[at]
end
function done(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format(
    '\\n{{"requests": %d, "took_us": %d, "p50_us": %d, "p99_us": %d, ',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99)))
  io.write(string.format(
    '"refused": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}}\\n',
    wrong.status, wrong.connect, wrong.read, wrong.write, wrong.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """One request as it is sent."""

    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """What came of one run: requests answered, how many a second, and the time that half and 99 % of them took at most."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float

    @property
    def spread(self) -> float:
        """p99 over p50."""
        return self.p99_ms / self.p50_ms


def require_wrk() -> str:
    """How wrk names itself. Exits unless it is there."""
    if shutil.which("wrk") is None:
        sys.exit("error: wrk, which makes the load, is not installed\nhint: apt install wrk")
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).partition("[")[0].strip()


def run_load(url: str, requests: Sequence[Request], seconds: int, folder: Path) -> Load:
    """Ask these requests over again for so long, several at a time. Exits where one was refused or a connection broke."""
    script = folder / "load.lua"
    script.write_text(_SCRIPT.format(requests="\n".join(map(_lua, requests))), encoding="utf-8")
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    what = f"{requests[0].method} {requests[0].path} at {url}"
    if run.returncode:
        sys.exit(f"error: wrk ended with exit code {run.returncode} ({what})\n{run.stdout}{run.stderr}".rstrip())
    found = json.loads(run.stdout.rstrip().rsplit("\n", 1)[-1])
    wrong = {name: found[name] for name in ("refused", "connect", "read", "write", "timeout") if found[name]}
    if wrong or not found["requests"]:
        said = ", ".join(f"{name} {count}" for name, count in wrong.items()) or "nothing was answered"
        sys.exit(f"error: {what}: {said} (of {found['requests']} answers): a figure with failures in it means nothing")
    return Load(found["requests"], found["requests"] / found["took_us"] * 1e6, found["p50_us"] / 1e3, found["p99_us"] / 1e3)


def _lua(request: Request) -> str:
    headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in request.headers.items())
    body = f"[==[{request.body}]==]" if request.body else "nil"
    return f"  wanted[#wanted + 1] = wrk.format({json.dumps(request.method)}, {json.dumps(request.path)}, {{{headers}}}, {body})"
