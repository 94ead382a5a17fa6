"""The reward of a leader's completion: is its answer right, and is it well-formed; the parts stay apart."""

from __future__ import annotations

from typing import NamedTuple

from mlpo.method.answers import Equivalent, is_correct, parse_answer, well_formed
from mlpo.types import FinishReason, Problem


class RewardParts(NamedTuple):
    """The two parts of a reward, each 0 or 1."""

    correct: float
    well_formed: float

    def total(self, format_weight: float) -> float:
        """r = correct + format_weight * well_formed; AggLM (arXiv:2509.06870) has format_weight 0."""
        return self.correct + format_weight * self.well_formed


def leader_reward(
    text: str, finish_reason: FinishReason, problem: Problem, *, equivalent: Equivalent | None = None
) -> RewardParts:
    """The reward of one completion. A truncated or failed one has no answer: both parts are 0.

    `equivalent` compares expressions (see `is_correct`). What it raises is passed on, for the trainer to exclude and
    count.
    """
    if finish_reason != "stop":
        return RewardParts(0.0, 0.0)
    answer = parse_answer(text, problem.answer_kind, problem.choices)
    return RewardParts(float(is_correct(answer, problem, equivalent=equivalent)), float(well_formed(text)))
