"""A program in a session of its own gets the signals meant for it, and its end is told by its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlpo.processes.session import run_in_session

ROOT = Path(__file__).parents[2]
LEADS_ITS_SESSION = "import os; raise SystemExit(75 if os.getsid(0) == os.getpid() else 1)"
TELLS_WHAT_IT_GOT = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda received, _: sys.exit(received))
print("ready", flush=True)
signal.pause()
"""


def test_the_programs_exit_code_is_returned_and_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert run_in_session([sys.executable, "-c", LEADS_ITS_SESSION]) == 75
    assert run_in_session([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("sent", "received"),
    [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGHUP, signal.SIGTERM)],
)
def test_a_signal_is_passed_on(sent: signal.Signals, received: signal.Signals) -> None:
    inner = [sys.executable, "-c", TELLS_WHAT_IT_GOT]
    code = f"import sys; from mlpo.processes.session import run_in_session; sys.exit(run_in_session({inner!r}))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as outer:
        assert outer.stdout is not None
        assert outer.stdout.readline() == b"ready\n"
        os.killpg(outer.pid, sent)  # as a terminal does: to the whole group, of which the program is no member
        assert outer.wait(30) == received
