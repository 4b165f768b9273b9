"""DVC, which runs the pipeline and keeps versions of meter files.

DVC works in a process of its own, so that whoever calls this stays free of it, and says nothing: the stages speak for themselves.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wattcast.errors import Unavailable

if TYPE_CHECKING:
    from types import FrameType

    from wattcast.ports import ModelStore

Say = Callable[[str], None]

LOCK = Path("dvc.lock")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REMOTE = "s3"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def require_project() -> None:
    """Raise Unavailable unless this folder is the project's, DVC is installed, and git is there for it."""
    for needed in (Path("dvc.yaml"), Path("params.yaml"), Path(".dvc")):
        if not needed.exists():
            raise Unavailable(f"this folder has no {needed}: it is not the project's", "run this in the folder that git clone made")
    if find_spec("dvc") is None:
        raise Unavailable(
            "DVC, which runs the pipeline, is not installed", 'install it: make setup, or pip install "wattcast[train,pipeline]"'
        )
    here = Path.cwd()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        raise Unavailable(
            "this folder is in no git repository, and DVC keeps its data versions beside git", "run git init, then this again"
        )


def track(file: Path) -> None:
    """Have DVC keep this version of the file, and note it in the .dvc file beside it."""
    _dvc("add", file.as_posix())


def set_remote(url: str, endpoint: str) -> None:
    """Have DVC push to and pull from this bucket, once it answers. endpoint: of a server other than Amazon's, or empty."""
    _dvc("remote", url, endpoint)


def reproduce(meter: str, store: ModelStore, say: Say, *, output: IO[Any] | None = None) -> None:
    """Run the stages whose inputs changed; then the store knows the meter, which is registered once more where it was lost.

    What stages print goes to `output`, else to our own. A stage that fails says why itself: Unavailable is raised without a message.
    """
    say("the pipeline runs what has changed since its last run")
    before = LOCK.read_bytes() if LOCK.exists() else b""
    _dvc("repro", output=output)
    if LOCK.read_bytes() == before:
        say("nothing has changed: models and scores stand")
    if not any(slot.meter == meter for slot in store.manifest().slots.values()):
        say(f"the model store does not know meter {meter}: it is registered from the last run")
        _dvc("register", output=output)


def _dvc(command: str, *targets: str, output: IO[Any] | None = None) -> None:
    """One command in a process of its own, which Ctrl-C and SIGTERM end with ours. Raises Unavailable with what stopped it."""
    if output is None:
        sys.stdout.flush()
    told, tell = os.pipe()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "SHELL": "/bin/sh", "DVC_NO_ANALYTICS": "1"}
    call = [sys.executable, "-m", "wattcast.adapters.dvc", str(tell), command, *targets]
    with _stops_held():
        child = subprocess.Popen(call, env=environment, stdin=subprocess.DEVNULL, stdout=output, pass_fds=[tell], process_group=0)
        os.close(tell)
    stopped = _ended_by(child)
    with os.fdopen(told) as reports:
        report = json.loads(reports.read() or "{}")
    if command == "register":
        report = {"stage": command, "status": child.returncode}
    if stopped:
        # A stage that was interrupted has said so itself.
        raise KeyboardInterrupt("" if report.get("stage") else "stopped: what was finished is kept, the next run goes on from there")
    if child.returncode:
        raise _refusal(report, command, child.returncode)


@contextmanager
def _stops_held() -> Iterator[None]:
    """Holds back signals that would stop us until the block is over: nothing starts half."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _ended_by(child: subprocess.Popen[Any]) -> bool:
    """Wait for the end of the child; whether a signal to us ended it. A second one kills it."""
    signals: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signals.append(number)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGINT if len(signals) == 1 else signal.SIGKILL)

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return bool(signals)


def _refusal(report: dict[str, Any], command: str, status: int) -> Unavailable:
    """What to raise for what the child reported."""
    if report.get("stage"):
        code = report["status"]
        if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            hint = "close other programs, or say preset: fast in params.yaml"
            return Unavailable(f"stage {report['stage']} was killed, most likely because memory ran out", hint)
        return Unavailable("")
    if report.get("errno") in _FULL:
        return Unavailable("the disk is full", "free some space and run this again: what was finished is kept")
    message = report.get("message") or f"DVC ended with status {status}"
    if report.get("remote"):
        hint = "check bucket, S3_ENDPOINT and credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        return Unavailable(f"{report['remote']} does not answer, and nothing was changed: {message}", hint)
    if report.get("busy"):
        return Unavailable("another run is at work in this folder", "let it finish, or stop it, and run this again")
    return Unavailable(f"DVC cannot go on: {message}", f"dvc {command} --verbose says more")


def _child(tell: int, command: str, targets: list[str]) -> int:
    """What the process of its own does; what stopped it goes to the pipe `tell`."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        if command == "register":
            os.execv(sys.executable, [sys.executable, "-m", "wattcast.stages.register"])  # noqa: S606
        from dvc.repo import Repo  # noqa: PLC0415

        for name in ("dvc", "dvc_data", "dvc_objects"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with Repo() as repo:
            if command == "add":
                repo.add(targets)
            elif command == "remote":
                _note_remote(repo, *targets)
            else:
                # In the order of dvc.yaml: what is tracked in data/raw and not there, another house's file, stops nothing.
                repo.reproduce(single_item=True)
    except KeyboardInterrupt:
        return 130
    except Exception as cause:  # noqa: BLE001 (DVC lets out errors of many libraries; every one becomes a line)
        report = _report(cause) | ({"remote": targets[0], "message": str(cause)} if command == "remote" else {})
        os.write(tell, json.dumps(report).encode())
        if not report.get("busy"):
            # What DVC began to copy and could not finish: on a full disk it would take the rest.
            for half in (half for folder in (".dvc/cache", "data", "models") for half in Path(folder).rglob(".*.tmp")):
                half.unlink(missing_ok=True)
        return 1
    return 0


def _note_remote(repo: Any, url: str, endpoint: str) -> None:
    """Ask the bucket for anything it holds there, then write the remote where git does not see it."""
    from dvc.fs import get_cloud_fs  # noqa: PLC0415

    remote = {"url": url} | ({"endpointurl": endpoint} if endpoint else {})
    kind, config, path = get_cloud_fs(repo.config, **remote)
    bucket, _, prefix = path.partition("/")
    kind(**config).fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    with repo.config.edit("local") as local:
        local["remote"][_REMOTE], local["core"]["remote"] = remote, _REMOTE
    # What DVC remembers of having been pushed may have been pushed elsewhere.
    repo.drop_data_index()


def _report(failure: BaseException) -> dict[str, Any]:
    """What stopped DVC: a stage and its status, or words, with the errno where there is one."""
    from dvc.lock import LockError  # noqa: PLC0415
    from dvc.stage.exceptions import StageCmdFailedError  # noqa: PLC0415

    chain = [failure]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    stage = next((cause for cause in chain if isinstance(cause, StageCmdFailedError)), None)
    if stage is not None:
        status = re.search(r"exited with (-?\d+)", str(stage))
        name = re.search(r"'(.+)'", str(failure))
        return {"stage": name[1] if name else "", "status": int(status[1]) if status else 1}
    numbers = [cause.errno for cause in chain if isinstance(cause, OSError) and cause.errno]
    said = _COLOURS.sub("", ": ".join(dict.fromkeys(" ".join(str(cause).split()) for cause in chain if str(cause))))
    return {"message": said[:1000], "errno": numbers[0] if numbers else None, "busy": any(isinstance(cause, LockError) for cause in chain)}


if __name__ == "__main__":
    sys.exit(_child(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
