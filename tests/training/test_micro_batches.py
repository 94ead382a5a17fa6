"""What is learned from, and in which pieces."""

from __future__ import annotations

import pytest
import torch

from mlpo.config import ConfigError, TrainMlpoConfig
from mlpo.method.rewards import RewardParts
from mlpo.models.generate import Drawn
from mlpo.training.micro_batches import check_prompt_lengths, make_parts
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.training.rollouts import RolloutGroup, reward_totals, rollout_metrics
from mlpo.types import Problem

CONFIG = TrainMlpoConfig(max_completion_tokens=4)
CPU = torch.device("cpu")
RIGHT, WRONG, BROKEN = RewardParts(1, 1), RewardParts(0, 1), None


def group(first: int, rewards: list[RewardParts | None], length: int = 2, *, cut: bool = False) -> RolloutGroup:
    """Completion i consists of the token `first` + i, and says 7."""
    problem = Problem("p", "basics", "sum", "3 + 4?", "7", "integer")
    drawn = tuple(
        Drawn((first + i,) * length, "length" if cut else "stop", "<think></think><answer>7</answer>")
        for i in range(len(rewards))
    )
    return RolloutGroup(TrainingPrompt(problem), (1, 2, 3), drawn, tuple(rewards))


def parts_of(groups: list[RolloutGroup], budget: int) -> list[tuple[list[tuple[int, ...]], list[float]]]:
    """(completions, advantages) of each part."""
    parts = make_parts(groups, reward_totals(groups, 0.0), CONFIG, budget, CPU)
    assert {p.num_completions for p in parts} <= {sum(len(g.drawn) for g in groups)}
    return [([c for g in p.batch.groups for c in g.completions], p.advantages.tolist()) for p in parts]


def test_every_completion_keeps_its_own_advantage_however_it_is_packed() -> None:
    groups = [group(10, [RIGHT, WRONG], 1), group(20, [WRONG, RIGHT], 3), group(30, [RIGHT, WRONG], 2)]
    expected = {10: 0.5, 11: -0.5, 20: -0.5, 21: 0.5, 30: 0.5, 31: -0.5}
    for budget in (1000, 9, 6):
        found = [
            (c[0], a)
            for completions, advantages in parts_of(groups, budget)
            for c, a in zip(completions, advantages, strict=True)
        ]
        assert dict(found) == expected
        assert len(found) == 6


def test_groups_without_signal_and_completions_without_reward_are_left_out() -> None:
    assert parts_of([group(10, [RIGHT, RIGHT]), group(20, [RIGHT, BROKEN])], 100) == []
    (part,) = parts_of([group(30, [RIGHT, BROKEN, WRONG])], 100)
    assert part == ([(30, 30), (32, 32)], [0.5, -0.5])


def test_a_group_over_the_budget_is_cut_between_completions() -> None:
    # prompt 3 + two completions of 2 = 7; a third would make 9
    pieces = parts_of([group(10, [RIGHT, WRONG, WRONG])], 8)
    assert sorted(len(completions) for completions, _ in pieces) == [1, 2]


def test_metrics_are_means_over_all_completions_whatever_is_learned_from() -> None:
    groups = [group(10, [RIGHT, WRONG]), group(20, [RIGHT, BROKEN], 4, cut=True)]
    rewards = reward_totals(groups, 0.1)
    found = rollout_metrics(groups, rewards, torch.tensor([True, False]))
    # rewards 1.1, 0.1, 1.1: mean 2.3/3; two of four are cut off, so they have no answer
    assert found["reward"] == pytest.approx(2.3 / 3)
    assert found["correct"] == found["correct_solo"] == pytest.approx(2 / 3)
    assert "correct_team" not in found
    assert found["zero_signal_share"] == found["truncated_rate"] == found["invalid_rate"] == 0.5
    assert found["reward_error_rate"] == 0.25
    assert found["completion_tokens"] == 3


def test_prompts_over_a_limit_are_counted_with_the_parameter_to_mend() -> None:
    check_prompt_lengths([5, 6], CONFIG, max_tokens=10, max_context=10, batch_tokens=5)
    with pytest.raises(ConfigError, match=r"1 of 2 prompts .* pass 10 tokens .*longest has 11.* leader's context"):
        check_prompt_lengths([5, 7], CONFIG, max_tokens=20, max_context=10, batch_tokens=20)
    with pytest.raises(ConfigError, match=r"2 of 2 .* runtime.micro_batch_tokens; raise it to at least 11"):
        check_prompt_lengths([5, 7], CONFIG, max_tokens=8, max_context=20, batch_tokens=20)
    with_vllm = CONFIG.model_copy(update={"rollout_engine": "vllm"})
    with pytest.raises(ConfigError, match=r"1 of 2 .* runtime.batch_tokens, .*; raise it to at least 11"):
        check_prompt_lengths([5, 7], with_vllm, max_tokens=20, max_context=20, batch_tokens=10)
