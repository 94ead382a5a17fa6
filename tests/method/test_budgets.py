"""Votes and self-consistency at another strategy's budget. A completion of the driver costs 13 tokens."""

from __future__ import annotations

from collections import Counter

import pytest

from mlpo.method.strategies.baselines import majority_vote, self_consistency
from mlpo.method.strategies.budgets import Budget, self_consistency_within, vote_within
from mlpo.types import StrategyRun
from tests.method.strategy_driver import DRAFT, ORDER, SAMPLING, SUM, TEAM, drive


def vote(budget: Budget) -> StrategyRun:
    return vote_within(SUM, team=TEAM, sampling=SAMPLING, budget=budget, seed=0, name="wide")


def consistent(budget: Budget) -> StrategyRun:
    return self_consistency_within(SUM, leader_sampling=DRAFT, budget=budget, seed=0, lenient=True, name="sc")


def test_samples_go_round_the_team() -> None:
    transcript, [batch] = drive(vote(8), ["5", "6", "6", "5", "6", "6", "5", "5"])
    assert Counter(r.model for r in batch) == {ORDER[0]: 3, ORDER[1]: 3, ORDER[2]: 2}  # 8 = 3 + 3 + 2 generations
    assert len({r.seed for r in batch}) == 8
    assert (transcript.strategy, transcript.answer) == ("wide", "5")  # 4 to 4, the first sample's answer


def test_as_many_samples_as_agents_is_the_majority_vote() -> None:
    assert next(vote(3)) == next(majority_vote(SUM, team=TEAM, sampling=SAMPLING, seed=0))


def test_a_number_of_samples_is_plain_self_consistency() -> None:
    plain = self_consistency(SUM, num_samples=4, leader_sampling=DRAFT, seed=0, lenient=True, name="sc")
    texts = ["5", "6", "5", "7"]
    assert drive(consistent(4), texts) == drive(plain, texts)


@pytest.mark.parametrize(("tokens", "generations"), [(130, 10), (136, 10), (137, 11), (30, 2), (13, 1), (5, 1), (0, 1)])
def test_tokens_buy_samples(tokens: int, generations: int) -> None:
    # round(136 / 13 = 10.46) = 10, round(137 / 13 = 10.54) = 11; one sample is always paid for
    rest = [["5"] * (generations - 1)] if generations > 1 else []
    for run in (vote({"p1": tokens}), consistent({"p1": tokens})):
        transcript, _ = drive(run, ["5"], *rest)
        assert len(transcript.completions) == generations


def test_the_first_samples_are_the_same_for_either_budget() -> None:
    for strategy in (vote, consistent):
        _, [together] = drive(strategy(4), ["5"] * 4)
        _, [first, rest] = drive(strategy({"p1": 52}), ["5"], ["5"] * 3)
        assert [*first, *rest] == together


def test_what_is_left_is_spent_at_the_mean_price() -> None:
    # 52 tokens: 13 spent, 39 / 13 = 3 more; one fails and costs nothing, so 13 are left: round(13 / 9.75) = 1 more
    transcript, _ = drive(vote({"p1": 52}), ["5"], ["5", "!", "5"], ["5"])
    assert sum(c.prompt_tokens + c.completion_tokens for c in transcript.completions) == 52


def test_a_model_that_fails_for_nothing_is_not_asked_for_ever() -> None:
    transcript, _ = drive(vote({"p1": 52}), ["5"], ["!"] * 3)
    assert (transcript.answer, len(transcript.completions)) == ("5", 4)


def test_a_failed_first_sample_has_no_price() -> None:
    transcript, _ = drive(vote({"p1": 1000}), ["!"])
    assert (transcript.answer, len(transcript.completions)) == (None, 1)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 sample, got 0"):
        next(vote(0))
