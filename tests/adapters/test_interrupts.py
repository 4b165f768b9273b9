"""An interrupt that a library swallows ends the work all the same."""

from __future__ import annotations

import signal
import threading

import pytest

from wattcast.adapters.interrupts import interrupts_kept


def swallow_one() -> None:
    """What a finaliser or a callback from C does to Ctrl-C."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return


def test_an_interrupt_interrupts() -> None:
    """Ctrl-C ends the block at once, and the handler from before is back."""
    before = signal.getsignal(signal.SIGINT)
    done: list[str] = []

    def work() -> None:
        with interrupts_kept():
            signal.raise_signal(signal.SIGINT)
            done.append("went on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == []
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("checked", [True, False])
def test_one_that_was_swallowed_comes_back(checked: bool) -> None:
    """At the next check, and at the end of the block at the latest."""
    done: list[str] = []

    def work() -> None:
        with interrupts_kept() as check:
            check()
            swallow_one()
            done.append("went on")
            if checked:
                check()
                done.append("and on")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["went on"]


def test_work_that_nobody_interrupts_ends_well() -> None:
    """Nothing is raised, in a thread neither."""
    with interrupts_kept() as check:
        check()
    ended: list[str] = []

    def work() -> None:
        with interrupts_kept() as check:
            check()
        ended.append("well")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["well"]
