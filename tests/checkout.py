"""A small house to run stages in: problems, parameters and an empty MLflow database, all in a temporary folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import Params, parse_params
from mlpo.evaluation.routing import write_routing
from mlpo.files import write_json_atomic
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import CALIBRATION_PROBLEMS, PROBLEM_STATISTICS, SHOT_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS
from mlpo.method.rare_words import WordCounts
from mlpo.method.routing import Routing
from mlpo.stages import propose
from mlpo.store import write_jsonl_atomic
from mlpo.types import Problem, Request
from tests.tracking.candidates import STATISTICS


def problem(number: int, split: str, family: str = "sum") -> Problem:
    """`number` + 1."""
    return Problem(f"{split}{number:06d}", "basics", family, f"{number} + 1?", str(number + 1), "integer")


def move_in(folder: Path, database: Path, patch: pytest.MonkeyPatch) -> None:
    """Make `folder` the current one: 3 training, 2 calibration, 4 test problems in no order, 2 shots and no runs."""
    patch.chdir(folder)
    shutil.copy(database, folder / "mlflow.db")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    write_jsonl_atomic(TRAIN_PROBLEMS, [problem(n, "train") for n in (2, 0, 1)])
    write_jsonl_atomic(CALIBRATION_PROBLEMS, [problem(n, "calibration") for n in (31, 30)])
    write_jsonl_atomic(TEST_PROBLEMS, [problem(n, "test") for n in (11, 10, 13, 12)])
    write_jsonl_atomic(SHOT_PROBLEMS, [problem(n, "shot") for n in (20, 21)])
    write_json_atomic(PROBLEM_STATISTICS, STATISTICS)
    write_routing(Routing({"sum": "adder"}, "adder", 1.0, WordCounts.of([])))


@pytest.fixture
def house(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as `move_in` leaves it."""
    move_in(tmp_path, empty_database, monkeypatch)
    return tmp_path


def proposed(folder: Path, database: Path, reply: Callable[[Request], str]) -> Path:
    """A house in which the whole team has proposed; what is in it is copied into those of many tests."""
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder, database, patch)
        params = parse_params(small_params())
        for agent in params.team:
            propose.run(params, agent, models=ScriptedModels(reply))
    return folder


def copy_proposals(source: Path, house: Path) -> None:
    """What `propose` left: the proposals and what it keeps."""
    for name in ("data", ".mlpo"):
        shutil.copytree(source / name, house / name, dirs_exist_ok=True)


@pytest.fixture
def raw_params() -> dict[str, Any]:
    """A fresh `small_params`."""
    return small_params()


def small_params() -> dict[str, Any]:
    """Two agents and everything else small."""
    agent = {"model": "tiny", "system": "Be brief.", "sampling": {"max_tokens": 8}}
    return {
        "team": {"adder": {**agent, "shots": {"sum": 2}}, "guesser": dict(agent)},
        "leader": {"model": "tiny"},
        "prepare": {"families": ["sum"]},
        "propose": {"samples": 2},
        "evaluate": {"bootstrap_samples": 200, "num_traces": 2},
    }


@pytest.fixture
def params(raw_params: dict[str, Any]) -> Params:
    """`raw_params`, checked."""
    return parse_params(raw_params)
