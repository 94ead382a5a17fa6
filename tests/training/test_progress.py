"""Progress: a bar on a terminal, a few lines in a log."""

from __future__ import annotations

import io

from rich.console import Console

from mlpo.training.progress import Meter


def shown(*, terminal: bool, start: int = 0) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, highlight=False)
    with Meter("train_mlpo", 5, start=start, console=console) as meter:
        for step in range(start + 1, 6):
            meter.step(step, f"reward {step / 10}")
        meter.say("warning: mind the gap")
    return out.getvalue()


def test_a_log_gets_the_first_and_the_last_step_with_the_time_left() -> None:
    lines = shown(terminal=False).splitlines()
    assert [line.split("  ")[0] for line in lines[:2]] == ["train_mlpo: 1 of 5 steps", "train_mlpo: 5 of 5 steps"]
    assert lines[1].endswith("0:00 left")
    assert "reward 0.5" in lines[1]
    assert lines[2] == "warning: mind the gap"


def test_a_resumed_run_says_so_first() -> None:
    assert shown(terminal=False, start=3).splitlines()[0] == "train_mlpo: resuming from step 3"
    assert "resuming" not in shown(terminal=False)


def test_a_terminal_gets_a_bar() -> None:
    assert "━" in shown(terminal=True)
    assert "5/5" in shown(terminal=True)
