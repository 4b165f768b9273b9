"""Runs the register stage in children of a process that has imported everything and has one thread; each child is killed with SIGKILL.

Reads lines "FOLDER seconds DELAY" and "FOLDER event NUMBER": the project to run in, and when the child is killed: after that many seconds,
or just before its NUMBERth creation or renaming of a file. Answers each with "killed" or, where the stage was through with its files,
"finished". A child whose stage raises says so and ends this process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback

from wattcast.stages import register

EVENTS = ("tempfile.mkstemp", "os.rename", "os.remove")


def run(folder: str, how: str, amount: str) -> str:
    """Start the stage in a child and kill it."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        register_in(folder, int(amount) if how == "event" else 0, telling)
    os.close(telling)
    if how == "seconds":
        # The moment is the point: nothing is waited for.
        time.sleep(float(amount))
        os.kill(child, signal.SIGKILL)
    said = os.read(told, 1)
    if said:
        os.kill(child, signal.SIGKILL)
    os.close(told)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(f"the stage ended by itself with {os.WEXITSTATUS(status)}")
    return "finished" if said else "killed"


def register_in(folder: str, fatal_event: int, telling: int) -> None:
    """Run the stage, say when it is through, and wait to be killed."""
    left = fatal_event

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in EVENTS and fatal_event:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.addaudithook(count)
        register.main()
        os.write(telling, b".")
        while True:
            signal.pause()
    except BaseException:  # noqa: BLE001 (a child never returns into the loop of its parent)
        traceback.print_exc()
    os._exit(1)


print("ready", flush=True)
for line in sys.stdin:
    print(run(*line.split()), flush=True)
