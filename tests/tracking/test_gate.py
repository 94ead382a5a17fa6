"""The gate: what a challenger must show, case by case."""

from __future__ import annotations

from mlpo.config import EvaluateConfig, RegisterConfig
from mlpo.tracking.gate import Evaluation, Verdict, judge


def evaluation(flags: str, *, invalid_rate: float = 0.0, prefix: str = "p") -> Evaluation:
    """From a string of 1 and 0, one character a problem."""
    return Evaluation({f"{prefix}{i}": flag == "1" for i, flag in enumerate(flags)}, invalid_rate)


def verdict(challenger: Evaluation, champion: Evaluation | None, **gate: float) -> Verdict:
    return judge(challenger, champion, RegisterConfig(**gate), EvaluateConfig(bootstrap_samples=1000), seed=0)


def test_the_first_leader_clears() -> None:
    assert verdict(evaluation("00"), None).clears


def test_a_sure_improvement_clears() -> None:
    # better on 20 of 40 problems, worse on none: the interval of +0.5 is far from 0
    found = verdict(evaluation("1" * 40), evaluation("10" * 20))
    assert found.clears
    assert found.improvement is not None
    assert found.improvement.difference == 0.5
    assert found.improvement.interval.low > 0


def test_an_improvement_that_may_be_chance_does_not_clear() -> None:
    # better on one problem of 40: resamples without it have difference 0
    found = verdict(evaluation("1" + "0" * 39), evaluation("0" * 40))
    assert not found.clears
    assert "must exceed 0" in found.reason


def test_the_lower_bound_must_exceed_the_wanted_improvement_not_reach_it() -> None:
    # better on every problem: the interval is [1, 1]
    everywhere = evaluation("1" * 10), evaluation("0" * 10)
    assert verdict(*everywhere, min_improvement=0.99).clears
    assert not verdict(*everywhere, min_improvement=1.0).clears


def test_other_problems_are_never_compared() -> None:
    found = verdict(evaluation("1" * 40), evaluation("0" * 40, prefix="q"))
    assert not found.clears
    assert found.improvement is None
    assert "other problems" in found.reason


def test_the_order_of_problems_does_not_matter() -> None:
    champion = evaluation("0" * 40)
    shuffled = Evaluation(dict(reversed(champion.scores.items())), champion.invalid_rate)
    assert shuffled.problems == champion.problems
    assert verdict(evaluation("1" * 40), shuffled).clears


def test_more_invalid_answers_than_allowed_do_not_clear() -> None:
    champion = evaluation("0" * 40, invalid_rate=0.10)
    assert verdict(evaluation("1" * 40, invalid_rate=0.12), champion, max_invalid_increase=0.02).clears
    found = verdict(evaluation("1" * 40, invalid_rate=0.13), champion, max_invalid_increase=0.02)
    assert not found.clears
    assert "0.130 of its answers are invalid" in found.reason
