"""A small evaluation, graded and measured by the real code: a team of two, and a leader that often knows better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mlpo.method.headroom import accuracy_by_holders, headroom_metrics
from mlpo.method.metrics.evaluation import Graded, evaluation_metrics, grade
from mlpo.method.strategies.baselines import ORACLE, oracle_any
from mlpo.types import LEADER, Completion, Problem, Round, Transcript

AGENTS = ("geo", "number")


def problem(number: int) -> Problem:
    family = "capital" if number % 2 else "product"
    return Problem(f"p{number:02}", "basics", family, f"Question {number}?", "yes", "yes_no")


def said(problem_id: str, model: str, text: str) -> Completion:
    return Completion(problem_id, model, text, "stop", prompt_tokens=50, completion_tokens=4)


def transcript(problem: Problem, strategy: str, team: str, drafts: str) -> Transcript:
    """`team` holds one letter a proposal and `drafts` one a round: y is right, n is wrong, - is no answer."""
    words = {"y": "yes", "n": "no", "-": "I wonder"}
    proposals = tuple(said(problem.id, agent, words[x]) for agent, x in zip(AGENTS, team, strict=False))
    parsed = {"y": "yes", "n": "no", "-": None}
    if not drafts:
        answer = parsed[team[0]]
        return Transcript(problem.id, strategy, (Round(proposals, None, answer),), answer)
    rounds = tuple(
        Round(proposals, said(problem.id, LEADER, f"<think>T</think><answer>{words[x]}</answer>"), parsed[x])
        for x in drafts
    )
    return Transcript(problem.id, strategy, rounds, rounds[-1].answer)


@pytest.fixture(scope="session")
def graded() -> dict[str, list[Graded]]:
    """24 problems: the team is right on a third, the leader on three quarters."""
    rows: dict[str, list[Graded]] = {}
    for number in range(24):
        team = ("yy", "ny", "nn")[number % 3]
        drafts = ("yy", "ny", "yn", "-y")[number % 4]
        played: Sequence[Transcript] = [
            transcript(problem(number), "single:geo", team[0], ""),
            transcript(problem(number), "single:number", team[1], ""),
            transcript(problem(number), "majority_vote", team, ""),
            transcript(problem(number), "untrained_leader", team, "n-"),
            transcript(problem(number), "sft_leader", team, "nn"),
            transcript(problem(number), "leader", team, drafts),
            transcript(problem(number), "leader_solo", "", drafts[0]),
        ]
        for one in (*played, oracle_any(played[2], problem(number))):
            rows.setdefault(one.strategy, []).append(grade(one, problem(number)))
    assert ORACLE in rows
    return rows


@pytest.fixture(scope="session")
def metrics(graded: dict[str, list[Graded]]) -> dict[str, Any]:
    holders = {g.problem.id: 2 - number % 3 for number, g in enumerate(graded["leader"])}
    return evaluation_metrics(graded, best_single="number", num_samples=500, seed=0) | {
        "headroom": headroom_metrics(graded, num_samples=500, seed=0),
        "by_holders": accuracy_by_holders(graded, holders),
    }
