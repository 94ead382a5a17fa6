"""A small house to run stages in: problems, parameters and an empty MLflow database, all in a temporary folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import Params, parse_params
from mlpo.layout import PROBLEM_STATISTICS, SHOT_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS
from mlpo.store import write_json_atomic, write_jsonl_atomic
from mlpo.types import Problem
from tests.tracking.candidates import STATISTICS


def problem(number: int, split: str, family: str = "sum") -> Problem:
    """`number` + 1."""
    return Problem(f"{split}{number:06d}", "basics", family, f"{number} + 1?", str(number + 1), "integer")


@pytest.fixture
def house(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: 3 training problems, 4 test problems in no order, 2 worked examples."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    write_jsonl_atomic(TRAIN_PROBLEMS, [problem(n, "train") for n in (2, 0, 1)])
    write_jsonl_atomic(TEST_PROBLEMS, [problem(n, "test") for n in (11, 10, 13, 12)])
    write_jsonl_atomic(SHOT_PROBLEMS, [problem(n, "shot") for n in (20, 21)])
    write_json_atomic(PROBLEM_STATISTICS, STATISTICS)
    return tmp_path


@pytest.fixture
def raw_params() -> dict[str, Any]:
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
