"""Progress: a line now and then in a log, a bar with rate and time left on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from mlpo.stages.progress import progress

SCRIPT = (
    "import time; from mlpo.stages.progress import progress\n"
    "with progress('propose@geo', 40, unit='proposals') as advance:\n"
    "    for _ in range(8): time.sleep(.05); advance(5)\n"
)


def test_a_log_gets_its_last_line_and_no_flood(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("propose@geo", 1000, unit="proposals") as advance:
        for _ in range(1000):
            advance(1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(r"propose@geo: 1000 of 1000 proposals, [\d.]+/s, 0:00:00 left", lines[0])


def test_a_log_says_how_long_it_will_take(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([100.0, 110.0, 115.0, 130.0])
    with progress("propose@geo", 100, unit="proposals", clock=lambda: next(seconds)) as advance:
        for _ in range(3):
            advance(10)
    # 10 in 10 s leave 90 s; the second comes too soon to be said; 30 in 30 s leave 70 s
    assert capsys.readouterr().out.splitlines() == [
        "propose@geo: 10 of 100 proposals, 1.0/s, 0:01:30 left",
        "propose@geo: 30 of 100 proposals, 1.0/s, 0:01:10 left",
    ]


def test_the_first_of_many_foretells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([100.0, 140.0])
    with progress("propose@geo", 100, unit="proposals", clock=lambda: next(seconds)) as advance:
        advance(1)
    assert capsys.readouterr().out.splitlines() == ["propose@geo: 1 of 100 proposals"]


def test_a_terminal_gets_a_bar_with_rate_and_time_left() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # Linux says EIO when the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=30) == 0
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode())
    assert "40/40 proposals" in text
    assert re.search(r"\d+\.\d/s 0:00:\d\d", text)
