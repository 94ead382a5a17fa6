"""What a stage costs: a stopped run's seconds are added to, a finished run's are not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mlpo.stages.timings import TIMINGS_FOLDER, all_timings, read_timing, stage_clock
from mlpo.types import Completion

SLEPT = 0.05


def run_for(seconds: float, *, stop: bool = False, asked: str | None = "geo") -> None:
    with stage_clock("prepare") as clock:
        clock.training_seconds += 2.0
        if asked:
            clock.ledger.add([Completion("p", asked, "x", "stop", 3, 1)], 1.5)
        time.sleep(seconds)
        if stop:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_seconds_of_models_and_of_the_wall() -> None:
    run_for(SLEPT)
    timing = all_timings()["prepare"]
    assert timing["finished"]
    assert timing["model_seconds"] == 3.5
    assert SLEPT <= timing["wall_seconds"] < SLEPT + 1
    assert timing["models"]["geo"]["prompt_tokens"] == 3


def test_a_run_after_a_stop_adds_and_one_after_an_end_starts_anew() -> None:
    path = TIMINGS_FOLDER / "prepare.json"
    with pytest.raises(KeyboardInterrupt):
        run_for(SLEPT, stop=True)
    assert not read_timing(path)["finished"]
    run_for(0)
    assert read_timing(path)["model_seconds"] == 7.0
    assert read_timing(path)["wall_seconds"] >= SLEPT
    run_for(0)
    assert read_timing(path)["model_seconds"] == 3.5


def test_what_a_model_cost_is_known_until_it_is_asked_again() -> None:
    def prompt_tokens() -> dict[str, int]:
        return {model: row["prompt_tokens"] for model, row in all_timings()["prepare"]["models"].items()}

    run_for(0)
    run_for(0, asked=None)  # everything it said is kept
    run_for(0, asked="leader")
    assert prompt_tokens() == {"geo": 3, "leader": 3}
    assert all_timings()["prepare"]["model_seconds"] == 3.5
    with pytest.raises(KeyboardInterrupt):
        run_for(0, stop=True)
    run_for(0)
    assert prompt_tokens() == {"geo": 6, "leader": 3}


def test_a_stage_that_never_ran_has_no_timing() -> None:
    assert read_timing(TIMINGS_FOLDER / "prepare.json") == {}
    assert all_timings() == {}
