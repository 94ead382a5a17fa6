"""metrics.json: intervals, differences and everything counted per strategy."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.metrics.evaluation import (
    Graded,
    accuracy_interval,
    evaluation_metrics,
    grade,
    paired_difference,
    paired_metrics,
    strategy_metrics,
)
from mlpo.method.strategies.baselines import oracle_any
from mlpo.types import LEADER, Completion, FinishReason, Problem, Round, Transcript


def problem(index: int, family: str = "sum") -> Problem:
    return Problem(f"p{index}", "basics", family, f"{index} + 1?", "5", "integer")


def says(index: int, model: str, text: str, reason: FinishReason = "stop") -> Completion:
    return Completion(f"p{index}", model, text, reason, 10, 4)


def team_round(index: int, agents: str, draft: str | None, reason: FinishReason = "stop") -> Round:
    """Agents a, b, c answer one digit each; the leader drafts one digit, or "-" for no answer; None is no leader."""
    proposals = tuple(says(index, name, digit) for name, digit in zip("abc", agents, strict=True))
    if draft is None:
        return Round(proposals)
    answer = None if draft == "-" else draft
    return Round(proposals, says(index, LEADER, f"<answer>{draft}</answer>", reason), answer)


def played(index: int, *rounds: tuple[str, str], family: str = "sum", lenient: bool = False) -> Graded:
    held = tuple(team_round(index, agents, draft) for agents, draft in rounds)
    transcript = Transcript(f"p{index}", "leader", held, held[-1].answer, lenient=lenient)
    return grade(transcript, problem(index, family))


def test_wilsons_interval_by_hand():
    # 8 of 10, z = 1.959964: centre (0.8 + z^2/20) / (1 + z^2/10) = 0.716739,
    # half width z * sqrt(0.8 * 0.2 / 10 + z^2 / 400) / (1 + z^2/10) = 0.226577
    assert accuracy_interval(8, 10) == pytest.approx((0.490162, 0.943317), abs=2e-6)
    assert accuracy_interval(0, 10).low == 0
    assert accuracy_interval(10, 10).high == 1


def test_more_confidence_is_a_wider_interval():
    narrow, wide = accuracy_interval(50, 100, confidence=0.8), accuracy_interval(50, 100, confidence=0.99)
    assert wide.low < narrow.low < 0.5 < narrow.high < wide.high


def test_the_paired_difference_is_the_mean_of_the_differences():
    # 3 right against 1 right of 4: (3 - 1) / 4
    result = paired_difference([True, True, True, False], [True, False, False, False], seed=0)
    assert (result.difference, result.n) == (0.5, 4)


def test_the_paired_interval_agrees_with_the_normal_one():
    # of 400 problems 80 won, 40 lost: mean 0.1, variance 0.3 - 0.01, standard error sqrt(0.29 / 400) = 0.0269
    a = [True] * 80 + [False] * 40 + [True] * 280
    b = [False] * 80 + [True] * 40 + [True] * 280
    low, high = paired_difference(a, b, seed=0).interval
    assert low == pytest.approx(0.1 - 1.96 * 0.0269, abs=0.005)
    assert high == pytest.approx(0.1 + 1.96 * 0.0269, abs=0.005)


def test_pairing_matters():
    # the same two accuracies: equal answers have no spread, opposite ones the widest
    same = paired_difference([True, False] * 50, [True, False] * 50, seed=0)
    opposite = paired_difference([True, False] * 50, [False, True] * 50, seed=0)
    assert same.interval == (0, 0)
    assert opposite.interval.high - opposite.interval.low > 0.3


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30), st.integers(0, 3))
def test_a_difference_swaps_sign_lies_in_its_interval_and_repeats(pairs: list[tuple[bool, bool]], seed: int):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there = paired_difference(a, b, num_samples=500, seed=seed)
    back = paired_difference(b, a, num_samples=500, seed=seed)
    assert there.difference == -back.difference
    assert there.interval.low <= there.difference <= there.interval.high
    assert paired_difference(a, b, num_samples=500, seed=seed) == there


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="got 3 and 2"):
        paired_difference([True] * 3, [True] * 2, seed=0)
    with pytest.raises(ValueError, match="at least 2 problems"):
        paired_difference([True], [True], seed=0)


def test_a_transcript_is_graded_against_its_own_problem():
    with pytest.raises(ValueError, match="transcript of problem p1 graded against problem p2"):
        grade(Transcript("p1", "leader", (), "5"), problem(2))


def test_one_strategy_counted_by_hand():
    rows = [
        played(0, ("555", "5"), ("555", "5")),  # all right
        played(1, ("566", "5"), ("566", "6"), family="product"),  # the leader was talked out of its 5
        played(2, ("466", "4"), ("466", "5"), lenient=True),  # rescued, all wrong at first
        played(3, ("556", "4"), ("555", "-"), family="product"),  # no answer in the end
    ]
    metrics = strategy_metrics(rows)
    assert metrics["accuracy"] == 0.5
    assert metrics["interval"] == list(accuracy_interval(2, 4))
    assert metrics["n"] == 4
    assert metrics["invalid_rate"] == 0.25
    assert metrics["lenient_rate"] == 0.25
    assert metrics["truncated_rate"] == metrics["error_rate"] == 0
    assert metrics["generations"] == 8  # (3 agents + leader) * 2 rounds
    assert metrics["generations_by_model"] == {"a": 2, "b": 2, "c": 2, LEADER: 2}
    assert (metrics["prompt_tokens"], metrics["completion_tokens"]) == (80, 32)
    assert metrics["by_round"] == {"0": 0.5, "1": 0.5}
    assert metrics["by_family"] == {"product": {"accuracy": 0, "n": 2}, "sum": {"accuracy": 1, "n": 2}}
    assert metrics["by_num_correct"] == {
        "0": {"accuracy": 1, "n": 1},
        "1": {"accuracy": 0, "n": 1},
        "2": {"accuracy": 0, "n": 1},
        "3": {"accuracy": 1, "n": 1},
    }
    assert metrics["rescued"] == {"share": 0.5, "n": 2}  # the vote is wrong on 1 and 2, the leader right on 2
    assert metrics["talked_out_of_vote"] == {"share": 0.5, "n": 2}  # the vote is right on 0 and 3, the leader not on 3
    # one right proposal stands on 1 alone, in front, and is lost
    assert [metrics["by_position"][place]["n"] for place in "012"] == [1, 0, 0]
    assert metrics["by_position"]["0"]["accuracy"] == 0
    assert metrics["agreement"] == 0.75  # 3, 2, 2 and 2 of 3 agree: 9 / 12
    assert metrics["talked_out"] == {"share": 0.5, "n": 2}  # the first draft was right on 0 and 1, the end wrong on 1
    assert not metrics["upper_bound"]


def test_truncated_and_failed_generations_are_shares_of_generations():
    held = (team_round(0, "555", "5", "length"), Round((says(0, "a", "", "error"),)))
    rows = [grade(Transcript("p0", "leader", held, None), problem(0))]
    metrics = strategy_metrics(rows)
    assert metrics["truncated_rate"] == pytest.approx(1 / 5, abs=1e-6)
    assert metrics["error_rate"] == pytest.approx(1 / 5, abs=1e-6)


def test_early_stop_saves_generations_and_keeps_the_answer_for_later_rounds():
    rows = [played(0, ("555", "5"), ("555", "5")), played(1, ("555", "5"), ("555", "5"), ("555", "4"), ("555", "4"))]
    metrics = strategy_metrics(rows, generations=4 * 4)
    assert metrics["generations_saved"] == 4  # problem 0 saved 2 rounds of 4 generations, problem 1 none
    assert metrics["by_round"] == {"0": 1, "1": 1, "2": 0.5, "3": 0.5}
    assert strategy_metrics(rows)["generations_saved"] == 0


def test_a_leader_alone_has_no_team_to_count():
    solo = Transcript("p0", "leader_solo", (Round((), says(0, LEADER, "<answer>5</answer>"), "5"),), "5")
    metrics = strategy_metrics([grade(solo, problem(0))], generations=1)
    assert metrics["by_num_correct"] == {}
    assert metrics["rescued"] == {"share": 0, "n": 0}
    assert metrics["generations_saved"] == 0


def test_samples_outside_rounds_are_paid_for():
    samples = tuple(says(0, LEADER, "<answer>5</answer>") for _ in range(3))
    metrics = strategy_metrics([grade(Transcript("p0", "self_consistency", (), "5", extra=samples), problem(0))])
    assert (metrics["generations"], metrics["by_round"]) == (3, {})


def test_the_oracle_is_marked_as_an_upper_bound():
    voted = Transcript("p0", "majority_vote", (team_round(0, "665", None),), "6")
    assert strategy_metrics([grade(oracle_any(voted, problem(0)), problem(0))])["upper_bound"]


def test_pairs_are_matched_by_problem_and_not_by_position():
    a = [played(0, ("555", "5")), played(1, ("555", "6"))]
    b = [played(1, ("555", "6")), played(0, ("555", "5"))]
    nothing = {"difference": 0, "interval": [0, 0], "n": 2, "won": 0, "lost": 0, "mcnemar_p": 1}
    assert paired_metrics(a, b, seed=0) == nothing


def test_won_and_lost_problems_are_counted():
    a = [played(i, ("555", "5")) for i in range(3)] + [played(3, ("555", "6"))]
    b = [played(i, ("555", "6")) for i in range(3)] + [played(3, ("555", "5"))]
    metrics = paired_metrics(a, b, seed=0)
    assert (metrics["difference"], metrics["won"], metrics["lost"]) == (0.5, 3, 1)
    assert metrics["mcnemar_p"] == 0.625  # of 4 coins 0, 1, 3 or 4 heads: (1 + 4 + 4 + 1) / 16


def test_strategies_over_different_problems_are_not_compared():
    with pytest.raises(ValueError, match="2 are in one strategy only: \\['p1', 'p2'\\]"):
        paired_metrics(
            [played(0, ("555", "5")), played(1, ("555", "5"))],
            [played(0, ("555", "5")), played(2, ("555", "5"))],
            seed=0,
        )


def test_the_whole_file_is_plain_json_and_repeats():
    graded = {
        "single:a": [played(i, ("555", "6")) for i in range(4)],
        "leader": [played(i, ("555", "5")) for i in range(4)],
        "majority_vote": [played(i, ("555", "5" if i else "6")) for i in range(4)],
    }
    metrics = evaluation_metrics(graded, best_single="a", seed=0, num_samples=200)
    assert list(metrics["strategies"]) == ["single:a", "leader", "majority_vote"]
    assert list(metrics["paired"]) == ["leader_vs_single:a", "leader_vs_majority_vote", "leader_vs_best_single"]
    agent = metrics["paired"]["leader_vs_single:a"]
    assert metrics["paired"]["leader_vs_best_single"] == agent | {"holm_p": 0.25}
    assert metrics["paired"]["leader_vs_majority_vote"]["difference"] == 0.25
    assert metrics["best_single"] == "a"
    assert json.loads(json.dumps(metrics)) == metrics
    assert evaluation_metrics(graded, best_single="a", seed=0, num_samples=200) == metrics


def test_the_family_of_holm_is_every_rival_but_the_oracle_and_agents_that_are_not_the_best():
    # the leader wins 6 of 6 against single:a, 1 against the vote, and never differs from the oracle
    names = {"single:a": 0, "single:b": 0, "majority_vote": 5, "leader": 6, "oracle_any": 6}
    graded = {name: [played(i, ("555", "5" if i < right else "6")) for i in range(6)] for name, right in names.items()}
    paired = evaluation_metrics(graded, best_single="a", seed=0, num_samples=200)["paired"]
    # McNemar: 2 / 2^6 = 0.03125 and 1; Holm over 2: 0.0625 and 1
    assert {pair: row["holm_p"] for pair, row in paired.items() if "holm_p" in row} == {
        "leader_vs_majority_vote": 1, "leader_vs_best_single": 0.0625
    }  # fmt: skip
    assert paired["leader_vs_oracle_any"]["mcnemar_p"] == 1


def test_an_evaluation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one graded transcript"):
        strategy_metrics([])
