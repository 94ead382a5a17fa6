"""A team with a hostile agent: it answers every problem wrongly, and no model is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpo.config import HOSTILE, Params, parse_params
from mlpo.inference.local import LocalModels
from mlpo.layout import CALIBRATION_PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS, proposals_of
from mlpo.method.answers import agent_answer, is_correct
from mlpo.stages import propose
from mlpo.store import read_jsonl
from mlpo.team.models import team_models
from mlpo.types import Completion, Problem


def test_a_team_without_one_has_the_models_of_this_process(params: Params) -> None:
    assert team_models(params) == LocalModels(params.runtime)


def test_a_hostile_agent_proposes_a_wrong_answer_to_every_problem(house: Path, raw_params: dict[str, Any]) -> None:
    raw_params["team"]["guesser"]["model"] = HOSTILE
    propose.run(parse_params(raw_params), "guesser")
    splits = TRAIN_PROBLEMS, CALIBRATION_PROBLEMS, TEST_PROBLEMS
    problems = {p.id: p for split in splits for p in read_jsonl(split, Problem)}
    proposals = list(read_jsonl(proposals_of("guesser"), Completion))
    assert len(proposals) == 3 * 2 + 2 + 4
    for proposal in proposals:
        answer = agent_answer(proposal, problems[proposal.problem_id])
        assert answer is not None
        assert not is_correct(answer, problems[proposal.problem_id])
