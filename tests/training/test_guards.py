"""Guards: warn at half the patience, stop at the whole, name the parameter."""

from __future__ import annotations

import pytest

from mlpo.config import TrainMlpoConfig
from mlpo.training.guards import Guards, TrainingStopped

FINE = {
    "correct": 0.5, "zero_signal_share": 0.2, "reward_error_rate": 0.0, "truncated_rate": 0.0, "kl": 0.1, "loss": 0.0,
    "grad_norm": 1.0,
}  # fmt: skip


def observe(*steps: dict[str, float], **config: float) -> list[str]:
    """The warnings of a run whose steps differ from a fine one by `steps`."""
    warnings: list[str] = []
    guards = Guards(TrainMlpoConfig.model_validate({"max_zero_reward_steps": 4} | config), warn=warnings.append)
    for number, changes in enumerate(steps, start=1):
        guards.observe(FINE | changes | {"step": float(number)})
    return warnings


def test_a_fine_run_hears_nothing() -> None:
    assert observe({}, {}, {}, {}, {}) == []


def test_no_correct_completion_warns_after_two_of_four_steps_and_stops_after_four() -> None:
    zero = {"correct": 0.0}
    assert len(observe(zero, zero, zero)) == 1
    with pytest.raises(TrainingStopped, match=r"step 4: no completion was correct \(4 steps in a row\)"):
        observe(zero, zero, zero, zero)


def test_one_good_step_begins_the_count_anew() -> None:
    zero = {"correct": 0.0}
    observe(zero, zero, zero, {}, zero, zero, zero)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"zero_signal_share": 1.0}, "train_mlpo.group_size"),
        ({"correct": 0.0}, "train_mlpo.max_completion_tokens"),
        ({"rollout_logprob_difference": 0.21}, "train_mlpo.rollout_engine"),
    ],
)
def test_what_lasts_is_stopped_and_named(changes: dict[str, float], named: str) -> None:
    with pytest.raises(TrainingStopped, match=named):
        observe(*[changes] * 4)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kl": 10.5}, "train_mlpo.beta"),
        ({"loss": float("nan")}, "train_mlpo.learning_rate"),
        ({"grad_norm": float("inf")}, "train_mlpo.learning_rate"),
        ({"reward_error_rate": 0.06}, "train_mlpo.max_reward_errors"),
    ],
)
def test_what_cannot_mend_itself_is_stopped_at_once(changes: dict[str, float], named: str) -> None:
    with pytest.raises(TrainingStopped, match=named):
        observe({}, changes)


def test_a_step_at_the_limit_is_still_allowed() -> None:
    observe({"kl": 10.0, "reward_error_rate": 0.05}, *[{"zero_signal_share": 0.95}] * 9)


def test_a_replayed_step_counts_and_does_not_warn_again() -> None:
    warnings: list[str] = []
    guards = Guards(TrainMlpoConfig(max_zero_reward_steps=4), warn=warnings.append)
    for number in range(1, 4):
        guards.observe(FINE | {"correct": 0.0, "step": number}, quiet=True)
    assert not warnings
    with pytest.raises(TrainingStopped):
        guards.observe(FINE | {"correct": 0.0, "step": 4.0})
