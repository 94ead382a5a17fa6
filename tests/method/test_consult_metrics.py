"""What the report says of asking only when unsure: replayed from a solo run and the team's rounds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_metrics import MAX_POINTS, consult_metrics
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.types import LEADER, Completion, Problem, Round, Transcript

LINE = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
POLICY = ConsultPolicy("entropy", LINE, LINE, LINE, ask_below=0.5, again_below=0.5)


def draft(number: int, entropy: float | None) -> Completion:
    return Completion(f"p{number}", LEADER, "", "stop", 10, 2, entropy=entropy)


def graded(number: int, *answers: tuple[str, float | None], team: bool) -> Graded:
    """Each answer with its entropy: the solo run has one, a round has two proposals of 20 tokens beside it."""
    problem = Problem(f"p{number}", "basics", "sum", "2 + 3?", "5", "integer")
    proposals = tuple(Completion(problem.id, name, "4", "stop", 15, 5) for name in ("geo", "number")) if team else ()
    rounds = tuple(Round(proposals, draft(number, entropy), answer) for answer, entropy in answers)
    name = LEADER if team else "leader_solo"
    return grade(Transcript(problem.id, name, rounds, answers[-1][0]), problem)


SOLO = [graded(0, ("5", 0.1), team=False), graded(1, ("4", 0.8), team=False), graded(2, ("4", 0.9), team=False)]
TEAM = [
    graded(2, ("4", 0.6), ("5", 0.2), team=True),
    graded(0, ("5", 0.3), ("4", 0.3), team=True),
    graded(1, ("5", 0.2), ("4", 0.7), team=True),
]


def test_what_was_chosen_is_beside_what_is_always_played() -> None:
    found = consult_metrics(SOLO, TEAM, POLICY)
    # alone 12 tokens, a round 52. p0 answers alone, p1 asks once, p2 twice: 12, 64 and 116 tokens, all right
    assert found["chosen"] == {
        "ask_below": 0.5, "again_below": 0.5, "accuracy": 1.0, "share_asked": 0.666667,
        "generations": round((1 + 4 + 7) / 3, 6), "tokens": round((12 + 64 + 116) / 3, 6),
    }  # fmt: skip
    fixed = {name: (row["accuracy"], row["tokens"]) for name, row in found["fixed"].items()}
    assert fixed == {"alone": (0.333333, 12), "rounds_1": (0.666667, 52), "rounds_2": (0.333333, 104)}
    assert found["confidence"]["alone"]["auc"] == 1.0
    assert [row["n"] for row in found["confidence"].values()] == [3, 3, 3]
    json.dumps(found, allow_nan=False)


def test_a_curve_ends_in_never_and_in_always_asking() -> None:
    curves = consult_metrics(SOLO, TEAM, POLICY)["curves"]
    ends = {name: (points[0]["tokens"], points[-1]["tokens"]) for name, points in curves.items()}
    # always: alone and a round 64, and two rounds 116; while unsure only p2 goes on: (64 + 64 + 116) / 3
    assert ends == {"one_round": (12, 64), "while_unsure": (12, round(244 / 3, 6)), "all_rounds": (12, 116)}
    many = [graded(n, ("5", n / 500), team=False) for n in range(400)]
    asked = [graded(n, ("5", 0.1), team=True) for n in range(400)]
    points = consult_metrics(many, asked, POLICY)["curves"]["one_round"]
    assert len(points) <= MAX_POINTS + 1
    assert (points[0]["share_asked"], points[-1]["share_asked"]) == (0.0, 1.0)


def test_a_leader_that_shows_no_signal_has_no_entry_and_other_problems_are_refused() -> None:
    silent = (
        [replace(g, transcript=_silent(g.transcript)) for g in SOLO],
        [replace(g, transcript=_silent(g.transcript)) for g in TEAM],
    )
    assert consult_metrics(*silent, POLICY) == {}
    with pytest.raises(ValueError, match="answered alone and with the team"):
        consult_metrics(SOLO[:2], TEAM, POLICY)


def _silent(transcript: Transcript) -> Transcript:
    rounds = [replace(r, draft=replace(r.draft, entropy=None)) for r in transcript.rounds if r.draft]
    return replace(transcript, rounds=tuple(rounds))
