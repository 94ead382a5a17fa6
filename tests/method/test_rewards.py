"""A leader's reward: right and well-formed, apart."""

from __future__ import annotations

import pytest

from mlpo.method.rewards import RewardParts, leader_reward
from mlpo.types import FinishReason, Problem

SUM = Problem("p", "basics", "sum", "2 + 3?", "5", "integer")


@pytest.mark.parametrize(
    ("text", "finish_reason", "parts"),
    [
        ("<think>a</think><answer>5</answer>", "stop", (1, 1)),
        ("<think>a</think><answer>6</answer>", "stop", (0, 1)),
        ("<answer>5</answer>", "stop", (1, 0)),
        ("<think>a</think><answer>5</answer> done", "stop", (1, 0)),
        ("<think>a</think><answer>5 or 6</answer>", "stop", (0, 1)),
        ("5", "stop", (0, 0)),
        ("", "stop", (0, 0)),
        ("<think>a</think><answer>5</answer>", "length", (0, 0)),
        ("<think>a</think><answer>5</answer>", "error", (0, 0)),
    ],
)
def test_the_parts(text: str, finish_reason: FinishReason, parts: tuple[float, float]):
    assert leader_reward(text, finish_reason, SUM) == parts


def test_the_total_weighs_the_format():
    assert RewardParts(1.0, 1.0).total(0.1) == pytest.approx(1.1)
    assert RewardParts(0.0, 1.0).total(0.1) == pytest.approx(0.1)
    assert RewardParts(1.0, 0.0).total(0.1) == 1.0
    assert RewardParts(1.0, 1.0).total(0.0) == 1.0


def test_what_a_grader_raises_is_passed_on():
    def broken(answer: str, target: str) -> bool:
        raise RuntimeError("no worker")

    asked = Problem("p", "basics", "algebra", "?", "x+1", "expression")
    with pytest.raises(RuntimeError, match="no worker"):
        leader_reward("<think>a</think><answer>1+x</answer>", "stop", asked, equivalent=broken)
