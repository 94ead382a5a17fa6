"""Who trains or chooses reads no test problem: a real small run with every opened file on record, and the same without.

Python tells of each file that is opened (`sys.addaudithook`), whoever opens it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mlpo.config import HOSTILE, Params, parse_params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.play import read_arena
from mlpo.files import write_lines_atomic
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import (
    CALIBRATION_PROBLEMS,
    DEMONSTRATIONS,
    MLPO_LEADER,
    ROLLOUTS,
    SFT_LEADER,
    TEST_PROBLEMS,
    TRAIN_PROBLEMS,
    proposals_of,
)
from mlpo.models.identity import weights_digest
from mlpo.stages import demonstrate, propose, train_mlpo, train_sft
from mlpo.store import encode_kept, read_jsonl, read_kept
from mlpo.team.models import SPLITS
from mlpo.team.proposals import read_proposal_sets
from mlpo.types import Problem, Request
from tests.checkout import move_in, small_params
from tests.training.conftest import tiny_folder  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
MAY_READ_TEST_PROBLEMS = {"propose", "evaluate"}
"""Beside `prepare`, which makes them. What is registered and reported afterwards lies in data/evaluation."""
_recorders: list[set[Path]] = []


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _recorders and isinstance(arguments[0], str | bytes | os.PathLike):
        path = Path(os.fsdecode(arguments[0]))
        for opened in _recorders:
            opened.add(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    sys.addaudithook(_record)  # it stays as long as the process, and does nothing outside `recording`


@contextmanager
def recording() -> Iterator[set[Path]]:
    """The files that are opened in the block, in this process; those under the current folder relative to it."""
    opened: set[Path] = set()
    _recorders.append(opened)
    try:
        yield opened
    finally:
        _recorders.remove(opened)


def reply(request: Request) -> str:
    """The adder is right; the leader alone in its even samples."""
    right = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1]) + 1
    return str(right + 100 * (request.sample % 2) if request.model == "leader" else right)


def without_test_problems(team: tuple[str, ...]) -> None:
    """As if there had never been any: neither they nor the proposals to them."""
    test_ids = {problem.id for problem in read_jsonl(TEST_PROBLEMS, Problem)}
    for agent in team:
        kept = [(key, c) for key, c in read_kept(proposals_of(agent)) if c.problem_id not in test_ids]
        write_lines_atomic(proposals_of(agent), (encode_kept(key, completion) for key, completion in kept))
    TEST_PROBLEMS.unlink()


def train(params: Params) -> dict[str, object]:
    """All stages between proposals and evaluation; what they leave."""
    demonstrate.run(params, models=ScriptedModels(reply))
    train_sft.run(params)
    train_mlpo.run(params)  # with the team's own models: the hostile agent is asked again in refreshed rounds
    leaders = {path.name: weights_digest(path) for path in (SFT_LEADER, MLPO_LEADER)}
    return leaders | {path.name: path.read_bytes() for path in (DEMONSTRATIONS, ROLLOUTS)}


@pytest.fixture
def hostile_params(tiny_folder: Path) -> Params:  # noqa: F811
    """A team of one that adds and one that argues, with every prompt of training refreshed."""
    raw = small_params()
    raw["team"]["guesser"]["model"] = HOSTILE
    raw["team"]["adder"]["model"] = raw["leader"]["model"] = str(tiny_folder)
    sizes = {"steps": 1, "prompts_per_step": 2, "group_size": 2, "max_completion_tokens": 8}
    raw["train_mlpo"] = {**sizes, "rounds_in_training": 1.0, "easy_share": 1000.0}
    raw["train_sft"] = {"epochs": 1, "batch_size": 8}
    return parse_params(raw)


def test_training_opens_no_test_problem_and_is_the_same_without_them(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, hostile_params: Params
) -> None:
    results = []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        move_in(tmp_path / name, empty_database, monkeypatch)
        with recording() as proposing:
            propose.run(hostile_params, "adder", models=ScriptedModels(reply))
            propose.run(hostile_params, "guesser")
        assert {TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, TEST_PROBLEMS} <= proposing  # the record sees what is read
        if name == "without":
            without_test_problems(tuple(hostile_params.team))
        with recording() as training:
            results.append(train(hostile_params))
        assert TRAIN_PROBLEMS in training
        assert TEST_PROBLEMS not in training
        assert CALIBRATION_PROBLEMS not in training
    assert results[0] == results[1]


def test_choosing_on_calibration_problems_opens_no_test_problem(house: Path, params: Params) -> None:
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    with recording() as opened:
        sets = read_proposal_sets(tuple(params.team), split=CALIBRATION_PROBLEMS, equivalent=is_equivalent)
    assert [s.problem.id for s in sets] == ["calibration000031", "calibration000030"]
    assert {len(theirs) for s in sets for theirs in s.proposals.values()} == {1}
    assert all(flag for s in sets for flags in s.correct.values() for flag in flags)
    assert CALIBRATION_PROBLEMS in opened
    assert not {TEST_PROBLEMS, TRAIN_PROBLEMS} & opened
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    with recording() as evaluating:
        read_arena(params)
    assert TEST_PROBLEMS in evaluating


def test_a_hostile_agent_looks_test_problems_up_last(house: Path) -> None:
    with recording() as opened:
        held = [next(iter(read())) for read in SPLITS]
    assert [problem_id.rstrip("0123456789") for problem_id in held] == ["train", "calibration", "test"]
    assert {TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, TEST_PROBLEMS} <= opened


def test_no_other_stage_of_dvc_depends_on_test_problems() -> None:
    # A stage that chooses something later falls under it too, unless it is named above.
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    deps = {name: stage.get("do", stage).get("deps", []) for name, stage in stages.items()}
    reading = {name for name, paths in deps.items() if any(TEST_PROBLEMS.is_relative_to(path) for path in paths)}
    assert reading == MAY_READ_TEST_PROBLEMS
