"""What a stage prints of its progress is what Prefect's bar and a study read."""

from __future__ import annotations

import pytest

from mlpo.progress_lines import Reached, read_progress
from mlpo.stages.progress import progress
from mlpo.training.progress import Meter


def test_the_lines_of_a_training_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter("train_mlpo", 5, start=2) as meter:
        for step in (3, 4, 5):
            meter.step(step, "reward 0.5: fine")
    read = [read_progress(line) for line in capsys.readouterr().out.splitlines()]
    assert read == [None, Reached("train_mlpo", 3, 5, "steps"), Reached("train_mlpo", 5, 5, "steps")]


def test_the_lines_of_completions_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([0.0, 20.0, 40.0])
    with progress("propose@geo", 100, unit="proposals", clock=lambda: next(seconds)) as advance:
        advance(25)
        advance(25)
    read = [read_progress(line) for line in capsys.readouterr().out.splitlines()]
    assert read == [Reached("propose@geo", 25, 100, "proposals"), Reached("propose@geo", 50, 100, "proposals")]


@pytest.mark.parametrize("line", ["", "training begins", "x: of 3 steps", "round 1: 0.500 [0.4, 0.6] on 120 problems"])
def test_other_lines_say_nothing_of_progress(line: str) -> None:
    assert read_progress(line) is None


@pytest.mark.parametrize(("done", "total", "share"), [(0, 4, 0.0), (1, 4, 0.25), (5, 4, 1.0), (0, 0, 1.0)])
def test_a_share_lies_between_nothing_and_all(done: int, total: int, share: float) -> None:
    assert Reached("x", done, total, "steps").share == share
