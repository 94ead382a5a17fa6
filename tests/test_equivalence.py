"""Expressions are compared in a worker that can be killed; its limit is CPU time, and a cut is never a silent no."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpo import equivalence
from mlpo.equivalence import ComparisonTimeoutError, EquivalenceWorker, GradingError, decided, is_equivalent
from mlpo.method.answers import is_correct, parse_answer
from mlpo.types import Problem

HANGS = "10^{9000}+(1/3)!"
"""A gamma function to 36,000 digits."""

SLOW = "10^{4500}+\\sin 1+\\sin 2+\\sin 3+\\cos 4"
"""Some tenths of a second."""


@pytest.fixture(scope="module")
def worker() -> Iterator[EquivalenceWorker]:
    with_limit = EquivalenceWorker(limit_seconds=0.5)
    yield with_limit
    with_limit.close()


@pytest.mark.parametrize(
    ("answer", "target", "equal"),
    [
        ("x^2+1", "1+x^2", True),
        ("\\frac{\\sqrt{3}}{2}", "\\sqrt{3}/2", True),
        ("x=5", "5", True),
        ("2x", "x*2", True),
        ("(1,2)", "(2,1)", False),
        ("x+1", "x+2", False),
        ("\\frac{3}{", "3", False),
        ("}{", "1", False),
        ("", "", False),
        ("x" * 500, "x" * 500, False),
    ],
)
def test_equal_expressions(worker: EquivalenceWorker, answer: str, target: str, equal: bool):
    assert worker(answer, target) is equal


def test_a_hanging_comparison_is_cut_off_and_the_next_one_works(worker: EquivalenceWorker):
    assert worker("x", "x")
    before, hung = worker.num_timeouts, worker.pid
    with pytest.raises(ComparisonTimeoutError, match=r"take more than 0\.5 s of CPU time"):
        worker(HANGS, "1")
    assert worker.num_timeouts == before + 1
    assert not Path(f"/proc/{hung}").exists()
    assert worker("1+x", "x+1")
    assert worker.pid != hung


def test_the_clock_cuts_nothing_off():
    """A worker that is stopped while it computes is as slow as on the busiest machine: time passes, but no CPU time."""
    slow = EquivalenceWorker(limit_seconds=2.5)
    assert slow("x", "x")
    worker = slow.pid
    assert worker is not None
    timers = [
        threading.Timer(0.05, os.kill, (worker, signal.SIGSTOP)),
        threading.Timer(3, os.kill, (worker, signal.SIGCONT)),
    ]
    for timer in timers:
        timer.start()
    started = time.monotonic()
    assert slow(SLOW, "1") is False
    assert time.monotonic() - started > slow.limit_seconds
    for timer in timers:
        timer.join()
    assert (slow.num_timeouts, slow.num_deaths, slow.pid) == (0, 0, worker)
    slow.close()


def test_a_worker_that_stays_silent_is_an_error_not_a_no(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(equivalence, "SILENT_SECONDS", 0.5)
    stopped = EquivalenceWorker(limit_seconds=30)
    assert stopped("x", "x")
    assert stopped.pid is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    with pytest.raises(GradingError, match="no word in 0 s"):
        stopped("1+x", "x+1")
    stopped.close()


def test_what_was_cut_off_is_said_and_asked_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    hasty = EquivalenceWorker(limit_seconds=0.3)
    monkeypatch.setattr(equivalence, "_worker", lambda: hasty)
    with pytest.raises(ComparisonTimeoutError):
        decided(HANGS, "1")
    assert is_equivalent(HANGS, "1") is False
    assert hasty.num_timeouts == 2
    assert "take more than 0.3 s of CPU time to compare; graded as different" in caplog.text
    hasty.close()


def test_a_killed_worker_is_replaced_and_the_question_asked_again(worker: EquivalenceWorker):
    assert worker("x", "x")
    before = worker.num_deaths
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    assert worker("1+x", "x+1") is True
    assert worker.num_deaths == before + 1


def test_it_works_in_threads(worker: EquivalenceWorker):
    answers: dict[int, bool] = {}
    threads = [threading.Thread(target=lambda i=i: answers.__setitem__(i, worker(f"{i}+x", "x+1"))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == {0: False, 1: True, 2: False, 3: False}


ORPHAN = f"""
from mlpo.equivalence import EquivalenceWorker
worker = EquivalenceWorker(limit_seconds=1)
worker("x", "x")
print(worker.pid, flush=True)
worker.limit_seconds = 60
worker._connection.send(({HANGS!r}, "1", 1))
input()
"""


def test_a_hanging_worker_ends_even_if_its_parent_was_killed():
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        worker = Path(f"/proc/{int(parent.stdout.readline())}")
        time.sleep(0.2)
        parent.kill()
    assert worker.exists()
    assert within(20, lambda: not worker.exists() or "Z (zombie)" in (worker / "status").read_text())


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    """Does it happen in time?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.1)
    return False


def test_a_worker_that_is_killed_twice_is_an_error_not_a_no(monkeypatch: pytest.MonkeyPatch):
    killed = EquivalenceWorker()
    ask = killed._ask

    def ask_the_dying(answer: str, target: str) -> bool:
        killed._running()
        assert killed.pid is not None
        os.kill(killed.pid, signal.SIGKILL)
        return ask(answer, target)

    monkeypatch.setattr(killed, "_ask", ask_the_dying)
    with pytest.raises(GradingError, match="two workers ended"):
        killed("1+x", "x+1")
    assert killed.num_deaths == 2


def test_a_worker_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    broken = EquivalenceWorker()
    with pytest.raises(GradingError, match="did not start"):
        broken("x", "y")
    assert broken.pid is None


def test_the_method_grades_expressions_with_it():
    asked = Problem("p", "algebra", "algebra", "Expand (x+1)^2", "x^2 + 2x + 1", "expression")
    right = parse_answer("<think>square it</think><answer>$1 + 2x + x^2$</answer>", "expression")
    assert is_correct(right, asked, equivalent=is_equivalent)
    assert not is_correct(right, asked)
    assert not is_correct("x^2+1", asked, equivalent=is_equivalent)
    assert not is_correct(None, asked, equivalent=is_equivalent)
