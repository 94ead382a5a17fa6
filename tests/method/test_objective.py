"""The objective, checked against arithmetic done by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mlpo.method.objective import PolicyLoss, carries_signal, group_advantages, k3_kl, policy_loss

NAN = float("nan")


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def loss_of(ratios: Any, advantages: Any, lengths: list[int] | None = None, **kwargs: Any) -> PolicyLoss:
    """The loss where each token's pi/pi_old is `ratios`; L = the row's width unless given."""
    ratio = tensor(ratios)
    width = ratio.shape[1]
    mask = torch.arange(width)[None] < torch.tensor(lengths or [width] * len(ratio))[:, None]
    options: dict[str, Any] = {"num_completions": len(ratio), "max_completion_tokens": width} | kwargs
    return policy_loss(ratio.log(), torch.zeros_like(ratio), tensor(advantages), mask, **options)


def test_advantages_are_rewards_minus_their_groups_mean():
    # means: (1 + 0 + 0 + 1.1)/4 = 0.525 and (1 + 0 + 0 + 0)/4 = 0.25
    found = group_advantages(tensor([[1, 0, 0, 1.1], [1, 0, 0, 0]]))
    torch.testing.assert_close(found, tensor([[0.475, -0.525, -0.525, 0.575], [0.75, -0.25, -0.25, -0.25]]))


def test_scaled_advantages_are_divided_by_the_sample_standard_deviation():
    # mean 0.5, squares 4 * 0.25 = 1, sample variance 1/3: std = 0.57735; 0.5 / (0.57735 + 0.0001) = 0.865875
    found = group_advantages(tensor([[1, 1, 0, 0]]), scale=True)
    torch.testing.assert_close(found, 0.5 / (1 / math.sqrt(3) + 1e-4) * tensor([[1, 1, -1, -1]]))
    assert found[0, 0].item() == pytest.approx(0.865875, abs=1e-6)


@pytest.mark.parametrize("scale", [False, True])
def test_equal_rewards_give_exact_zeros(scale):
    # eight times 0.1 is not 0.8 in float32: centring alone would leave -7e-9
    assert group_advantages(torch.tensor([[0.1] * 8]), scale=scale).tolist() == [[0.0] * 8]


@pytest.mark.parametrize("scale", [False, True])
def test_a_completion_without_a_reward_is_no_part_of_its_group(scale):
    found = group_advantages(tensor([[1, 0, NAN]]), scale=scale)
    torch.testing.assert_close(found[:, :2], group_advantages(tensor([[1, 0]]), scale=scale))
    assert found[0, 2] == 0


def test_only_groups_with_two_different_rewards_carry_signal():
    rewards = tensor([[1, 0], [1, 1], [0, 0], [1, NAN], [NAN, NAN]])
    assert carries_signal(rewards).tolist() == [True, False, False, False, False]
    assert group_advantages(rewards)[1:].abs().sum() == 0


@pytest.mark.parametrize("rewards", [[1.0, 0.0], [[1.0], [0.0]]])
def test_a_group_of_one_is_refused(rewards):
    with pytest.raises(ValueError, match="group >= 2"):
        group_advantages(tensor(rewards))


def test_k3_by_hand():
    # pi_ref/pi = 2: 2 - ln 2 - 1 = 0.306853;  1/2: 0.5 + ln 2 - 1 = 0.193147;  1: 0
    found = k3_kl(torch.zeros(3, dtype=torch.float64), tensor([2, 0.5, 1]).log())
    torch.testing.assert_close(found, tensor([1 - math.log(2), math.log(2) - 0.5, 0]))


def test_positive_advantage_is_clipped_above():
    # ratio e, clip 0.2, advantage 1: min(e, 1.2) = 1.2, so the loss is -1.2
    found = loss_of([[math.e]], [1])
    assert found.loss.item() == pytest.approx(-1.2)
    assert found.num_clipped == 1


def test_negative_advantage_is_clipped_below():
    # ratio 0.5, advantage -1: min(-0.5, -0.8) = -0.8, so the loss is 0.8
    found = loss_of([[0.5]], [-1])
    assert found.loss.item() == pytest.approx(0.8)
    assert found.num_clipped == 1


def test_the_pessimistic_side_is_never_clipped():
    # ratio 2, advantage -1: min(-2, -1.2) = -2;  ratio 0.5, advantage 1: min(0.5, 0.8) = 0.5;  (2 - 0.5)/2 = 0.75
    found = loss_of([[2.0], [0.5]], [-1, 1])
    assert found.loss.item() == pytest.approx(0.75)
    assert found.num_clipped == 0


def test_the_two_clips_are_separate():
    # high 0.28: min(2, 1.28) = 1.28;  low 0.1: min(-1, -1.8) = -1.8;  -(1.28 - 1.8)/2 = 0.26
    assert loss_of([[2.0], [0.5]], [1, -2], epsilon_low=0.1, epsilon_high=0.28).loss.item() == pytest.approx(0.26)


def test_a_clipped_token_gets_no_gradient_and_a_free_one_gets_the_advantage():
    logprobs = tensor([[1.0, 0.0]]).requires_grad_()
    mask = torch.ones(1, 2, dtype=torch.bool)
    policy_loss(
        logprobs, torch.zeros(1, 2).double(), tensor([3]), mask, num_completions=1, max_completion_tokens=2
    ).loss.backward()
    # token 0: ratio e is clipped, gradient 0.  token 1: d(-rho A / (1 * 2))/d log pi = -3/2
    assert logprobs.grad is not None
    torch.testing.assert_close(logprobs.grad, tensor([[0, -1.5]]))


def test_dr_grpo_divides_by_the_constant_length():
    # lengths 1 and 3, advantages 1 and -1, ratio 1, L = 4: (-1*1 + 1*3) / (2*4) = 0.25
    assert loss_of([[1.0] * 3] * 2, [1, -1], [1, 3], max_completion_tokens=4).loss.item() == pytest.approx(0.25)


def test_grpo_divides_by_each_completions_own_length():
    # (-1*1/1 + 2*3/3) / 2 = 0.5, whatever L is
    found = loss_of([[1.0] * 3] * 2, [1, -2], [1, 3], max_completion_tokens=99, loss_type="grpo")
    assert found.loss.item() == pytest.approx(0.5)


def test_a_truncated_completion_counts_with_all_its_tokens_and_no_more():
    # L = 3. The truncated one fills L (reward 0, advantage -0.5), the other stops after 2 (advantage 0.5):
    # dr_grpo (0.5*3 - 0.5*2) / (2*3) = 1/12.  What stands in the padding does not matter.
    found = loss_of([[1.0, 1.0, 1.0], [1.0, 1.0, 7.0]], [-0.5, 0.5], [3, 2])
    assert found.loss.item() == pytest.approx(1 / 12)
    assert found.num_tokens == 5
    assert found.num_clipped == 0


def test_kl_is_added_with_weight_beta():
    # pi_ref/pi = 2 on both of 2 tokens, k3 = 1 - ln 2 each; -1 + 0.1 * (1 - ln 2) = -0.969315
    found = loss_of([[1.0, 1.0]], [1], beta=0.1, reference_logprobs_NT=tensor([[2.0, 2.0]]).log())
    assert found.loss.item() == pytest.approx(-1 + 0.1 * (1 - math.log(2)))
    assert found.kl_sum.item() == pytest.approx(2 * (1 - math.log(2)))


def test_infinite_padding_reaches_neither_loss_nor_gradient():
    logprobs = tensor([[0.0, math.inf]]).requires_grad_()
    options: dict[str, Any] = {"num_completions": 1, "max_completion_tokens": 2, "beta": 1.0}
    zeros, mask = torch.zeros(1, 2).double(), torch.tensor([[True, False]])
    found = policy_loss(logprobs, zeros, tensor([1]), mask, reference_logprobs_NT=zeros, **options).loss
    found.backward()
    # one token, ratio 1, k3 0: -1/2, and its gradient -1/2
    assert found.item() == pytest.approx(-0.5)
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[-0.5, 0.0]]


def test_beta_without_a_reference_is_refused():
    with pytest.raises(ValueError, match="reference"):
        loss_of([[1.0]], [1], beta=0.1)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 1\], \[2, 1\], \[3\]"):
        loss_of([[1.0], [1.0]], [1, 2, 3])


@pytest.mark.parametrize("loss_type", ["dr_grpo", "grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_the_losses_of_two_halves_add_up_to_the_whole(loss_type, beta):
    generator = torch.Generator().manual_seed(0)
    new, old, reference = (torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(3))
    advantages = torch.randn(8, generator=generator, dtype=torch.float64)
    mask = torch.arange(5)[None] < torch.tensor([1, 5, 3, 2, 4, 5, 1, 2])[:, None]

    def part(rows: slice) -> PolicyLoss:
        return policy_loss(
            new[rows], old[rows], advantages[rows], mask[rows], num_completions=8, max_completion_tokens=6,
            loss_type=loss_type, beta=beta, reference_logprobs_NT=reference[rows],
        )  # fmt: skip

    whole, halves = part(slice(8)), [part(slice(4)), part(slice(4, 8))]
    for field in PolicyLoss._fields:
        torch.testing.assert_close(sum(getattr(h, field) for h in halves), getattr(whole, field))
