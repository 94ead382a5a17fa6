"""What a team can win, and what its leader takes of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from mlpo.method.headroom import (
    Chance,
    accuracy_by_holders,
    captured_headroom,
    headroom,
    headroom_metrics,
    headroom_warning,
    proposal_chances,
)
from mlpo.method.metrics.evaluation import Graded, accuracy_interval, grade
from mlpo.method.selection import ProposalSet
from mlpo.types import Completion, Problem, Round, Transcript

WON, LOST, BOTH, NEITHER = (
    Chance("a", alone=False, proposed=True),
    Chance("a", alone=True, proposed=False),
    Chance("b", alone=True, proposed=True),
    Chance("b", alone=False, proposed=False),
)


def test_what_can_be_won_and_lost_by_asking() -> None:
    found = headroom([WON] * 3 + [LOST] + [BOTH] * 4 + [NEITHER] * 2)
    assert (found["n"], found["alone"], found["ceiling"]) == (10, 0.5, 0.8)  # right alone 1 + 4; 3 more can be won
    assert found["winnable"] == {"share": 0.3, "interval": list(accuracy_interval(3, 10))}
    assert found["losable"] == {"share": 0.1, "interval": list(accuracy_interval(1, 10))}
    assert found["by_family"] == {
        "a": {"n": 4, "winnable": 0.75, "losable": 0.25},
        "b": {"n": 6, "winnable": 0, "losable": 0},
    }
    assert found["warning"] == ""
    with pytest.raises(ValueError, match="at least one problem"):
        headroom([])


def test_a_team_that_cannot_pay_is_warned_of() -> None:
    text = headroom([WON] * 3 + [BOTH] * 97)["warning"]
    assert text.startswith("3 % of the problems can be won by asking this team")
    assert headroom_warning(0.05) == ""
    assert headroom_warning(0.0499) != ""


def captured(chances: list[Chance], with_team: list[bool]) -> dict[str, object]:
    found = captured_headroom(chances, with_team, num_samples=2000, seed=0)
    share: dict[str, object] = found["captured"]
    return share


def test_the_captured_share_is_the_gain_over_what_can_be_won() -> None:
    # 40 winnable of 100: 30 won, 10 not; of 40 right alone 5 lost: (30 - 5) / 40
    chances = [WON] * 40 + [BOTH] * 40 + [NEITHER] * 20
    with_team = [True] * 30 + [False] * 10 + [False] * 5 + [True] * 35 + [False] * 20
    found = captured_headroom(chances, with_team, num_samples=2000, seed=0)
    assert (found["with_team"], found["won"], found["lost"]) == (0.65, 30, 5)
    assert found["captured"]["share"] == 0.625
    low, high = found["captured"]["interval"]
    assert 0.35 < low < 0.625 < high < 0.9
    assert found["by_family"] == {"a": {"won": 30, "lost": 0}, "b": {"won": 0, "lost": 5}}


def test_the_interval_is_that_of_a_paired_bootstrap_over_problems() -> None:
    chances = [WON] * 40 + [LOST] * 10 + [BOTH] * 30 + [NEITHER] * 20
    with_team = [True] * 30 + [False] * 20 + [True] * 40 + [False] * 10
    gain = np.array([float(team) - float(c.alone) for c, team in zip(chances, with_team, strict=True)])
    room = np.array([float(c.winnable) for c in chances])
    of_scipy = bootstrap(
        (gain, room), lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis), paired=True, vectorized=True,
        n_resamples=20000, batch=1000, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    found = captured_headroom(chances, with_team, num_samples=20000, seed=0)["captured"]["interval"]
    assert found == pytest.approx(of_scipy, abs=0.02)


def test_gain_and_headroom_are_drawn_together() -> None:
    # whoever wins all that can be won and nothing else has captured 1 in every resample
    chances = [WON] * 30 + [BOTH] * 70
    assert captured(chances, [True] * 100) == {"share": 1, "interval": [1, 1]}


def test_the_captured_share_is_not_clipped() -> None:
    # 20 winnable, all won, and 20 more that nobody proposed: 40 / 20
    above = captured([WON] * 20 + [NEITHER] * 20, [True] * 40)
    assert above["share"] == 2
    # nothing won, 20 lost: -20 / 20
    below = captured([WON] * 20 + [BOTH] * 20, [False] * 40)
    assert below["share"] == -1


def test_resamples_without_headroom_are_left_out() -> None:
    # 2 of 4 winnable, whose lower bound is .15: 1 resample in 16 holds neither
    assert captured([WON] * 2 + [BOTH] * 2, [True] * 4) == {"share": 1, "interval": [1, 1]}


def test_too_little_to_win_has_no_share() -> None:
    # of 100 problems 9 are winnable, lower bound .048; 10 are, lower bound .055
    assert captured([WON] * 9 + [BOTH] * 91, [True] * 100) is None
    assert captured([WON] * 10 + [BOTH] * 90, [True] * 100) is not None


def test_both_answers_are_needed() -> None:
    with pytest.raises(ValueError, match="got 1 and 2"):
        captured_headroom([WON], [True, True], seed=0)


def problem(number: int) -> Problem:
    return Problem(f"p{number}", "basics", "sum", f"{number} + 1?", str(number + 1), "integer")


def transcripts(name: str, team: str, answers: str) -> list[Graded]:
    """A letter a problem: y is right. One agent proposes, unless there is no team."""
    rows = []
    for number, right in enumerate(answers):
        one = problem(number)
        texts = [one.target if team[number] == "y" else "99"] if team else []
        said = tuple(Completion(one.id, "geo", text, "stop", 1, 1) for text in texts)
        answer = one.target if right == "y" else None
        rows.append(grade(Transcript(one.id, name, (Round(said, None, answer),), answer), one))
    return rows


def test_every_leader_that_also_played_alone_has_its_headroom() -> None:
    graded = {
        "majority_vote": transcripts("majority_vote", "yyn", "yyn"),
        "leader": transcripts("leader", "yyn", "yny"),
        "leader_solo": transcripts("leader_solo", "", "nyy")[::-1],  # paired by problem, not by place
        "untrained_leader": transcripts("untrained_leader", "yyn", "yyy"),
    }
    found = headroom_metrics(graded, num_samples=200, seed=0)
    assert list(found) == ["leader"]
    row = found["leader"]
    # alone n y y, proposals y y n: the first can be won and is, the second is right twice and lost, the third losable
    assert (row["alone"], row["with_team"], row["won"], row["lost"]) == (pytest.approx(2 / 3, abs=1e-6),) * 2 + (1, 1)
    assert row["winnable"]["share"] == row["losable"]["share"] == pytest.approx(1 / 3, abs=1e-6)
    assert row["captured"]["share"] == 0
    assert row["by_family"]["sum"] == {"n": 3, "winnable": 0.333333, "losable": 0.333333, "won": 1, "lost": 1}
    with pytest.raises(ValueError, match="must have answered the same problems"):
        headroom_metrics(graded | {"leader_solo": graded["leader_solo"][:2]}, seed=0)


def test_chances_before_training_are_those_of_each_agents_first_sample() -> None:
    def proposals(number: int, **flags: list[bool]) -> ProposalSet:
        said = {name: tuple(Completion("p", name, "", "stop", 1, 1) for _ in theirs) for name, theirs in flags.items()}
        return ProposalSet(problem(number), said, {name: tuple(theirs) for name, theirs in flags.items()})

    sets = [proposals(0, geo=[False, True], word=[False]), proposals(1, geo=[False], word=[True, False]), proposals(2)]
    assert proposal_chances(sets, {"p0": True, "p1": False}) == [Chance("sum", True, False), Chance("sum", False, True)]


def test_accuracy_by_the_number_of_agents_that_hold_the_fact() -> None:
    graded = {"leader": transcripts("leader", "yyny", "ynny"), "leader_solo": transcripts("leader_solo", "", "nnny")}
    found = accuracy_by_holders(graded, {"p0": 2, "p1": 2, "p2": 0})  # of p3 nobody knows
    assert found["leader"] == {
        "0": {"accuracy": 0, "n": 1},
        "1": {"accuracy": 0, "n": 0},
        "2": {"accuracy": 0.5, "n": 2},
    }
    assert found["leader_solo"]["2"] == {"accuracy": 0, "n": 2}
    assert accuracy_by_holders(graded, {}) == {"leader": {}, "leader_solo": {}}
