"""The gate: what a challenger must show, case by case."""

from __future__ import annotations

from dataclasses import replace

from mlpo.config import EvaluateConfig, RegisterConfig
from mlpo.tracking.gate import Evaluation, Verdict, judge


def evaluation(flags: str, *, invalid_rate: float = 0.0, prefix: str = "p", tokens: float = 100.0) -> Evaluation:
    """From a string of 1 and 0, one character a problem; a tenth of the tokens are completions."""
    scores = {f"{prefix}{i}": flag == "1" for i, flag in enumerate(flags)}
    return Evaluation(scores, invalid_rate, prompt_tokens=0.9 * tokens, completion_tokens=0.1 * tokens)


def verdict(challenger: Evaluation, *champion: Evaluation, **gate: float) -> Verdict:
    return judge([challenger], champion, RegisterConfig(**gate), EvaluateConfig(bootstrap_samples=1000), seed=0)


def test_a_sure_improvement_clears() -> None:
    # better on 20 of 40 problems, worse on none: the interval of +0.5 is far from 0
    found = verdict(evaluation("1" * 40), evaluation("10" * 20))
    assert found.clears
    assert found.comparison is not None
    assert (found.comparison.improvement, found.comparison.accuracy, found.comparison.champion_accuracy) == (
        0.5,
        1,
        0.5,
    )
    assert found.comparison.interval.low > 0


def test_an_improvement_that_may_be_chance_does_not_clear() -> None:
    # better on one problem of 40: resamples without it have difference 0
    found = verdict(evaluation("1" + "0" * 39), evaluation("0" * 40))
    assert not found.clears
    assert "must exceed 0" in found.reason


def test_the_interval_is_of_the_confidence_that_evaluation_asks_for() -> None:
    # better on 4 of 40, worse on 1: far from sure, but more likely than not
    pair = [evaluation("1111" + "0" * 36)], [evaluation("00001" + "0" * 35)]
    for confidence, clears in ((0.95, False), (0.6, True)):
        evaluate = EvaluateConfig(bootstrap_samples=1000, confidence=confidence)
        assert judge(*pair, RegisterConfig(), evaluate, seed=0).clears == clears


def test_the_lower_bound_must_exceed_the_wanted_improvement_not_reach_it() -> None:
    # better on every problem: the interval is [1, 1]
    everywhere = evaluation("1" * 10), evaluation("0" * 10)
    assert verdict(*everywhere, min_improvement=0.99).clears
    assert not verdict(*everywhere, min_improvement=1.0).clears


def test_other_problems_are_never_compared() -> None:
    found = verdict(evaluation("1" * 40), evaluation("0" * 40, prefix="q"))
    assert not found.clears
    assert found.comparison is None
    assert "other problems" in found.reason


def test_the_order_of_problems_does_not_matter() -> None:
    champion = evaluation("0" * 40)
    shuffled = replace(champion, scores=dict(reversed(champion.scores.items())))
    assert shuffled.problems == champion.problems
    assert verdict(evaluation("1" * 40), shuffled).clears


def test_more_invalid_answers_than_allowed_do_not_clear() -> None:
    champion = evaluation("0" * 40, invalid_rate=0.10)
    assert verdict(evaluation("1" * 40, invalid_rate=0.12), champion, max_invalid_increase=0.02).clears
    found = verdict(evaluation("1" * 40, invalid_rate=0.13), champion, max_invalid_increase=0.02)
    assert not found.clears
    assert "0.130 of its answers are invalid" in found.reason


def test_more_tokens_a_problem_than_allowed_do_not_clear() -> None:
    champion = evaluation("0" * 40, tokens=100)
    assert verdict(evaluation("1" * 40, tokens=125), champion, max_token_factor=1.25).clears
    found = verdict(evaluation("1" * 40, tokens=126), champion, max_token_factor=1.25)
    assert not found.clears
    assert "it takes 126 tokens a problem, at most 125 are allowed" in found.reason


def test_a_refusal_names_everything_that_is_lacking() -> None:
    found = verdict(evaluation("0" * 40, invalid_rate=0.5, tokens=1000), evaluation("1" * 40))
    assert found.reason.count(";") == 3
    assert found.comparison is not None
    assert len(found.comparison.refusals) == 3


def test_a_champion_that_was_evaluated_again_is_compared_on_the_common_set() -> None:
    before, again = evaluation("1" * 40, prefix="q"), evaluation("10" * 20)
    found = verdict(evaluation("1" * 40), before, again)
    assert found.clears
    assert found.comparison is not None
    assert found.comparison.problems == again.problems
