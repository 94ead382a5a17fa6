"""The learning rate: no idle step, whatever the shape."""

from __future__ import annotations

from mlpo.training.lr_schedule import Shape, rate_factor


def factors(warmup: int, total: int, shape: Shape) -> list[float]:
    return [rate_factor(done, warmup_steps=warmup, total_steps=total, shape=shape) for done in range(total)]


def test_the_rise_begins_above_zero_and_ends_at_the_whole_rate() -> None:
    assert factors(3, 6, "constant") == [0.25, 0.5, 0.75, 1, 1, 1]


def test_linear_falls_from_the_whole_rate_to_its_last_step() -> None:
    # after the rise, 4 steps are left: 4/4, 3/4, 2/4, 1/4
    assert factors(1, 5, "linear") == [0.5, 1, 0.75, 0.5, 0.25]


def test_no_rise_begins_with_the_whole_rate() -> None:
    assert factors(0, 2, "linear") == [1, 0.5]


def test_a_rise_longer_than_the_run_never_gets_there() -> None:
    assert factors(4, 2, "linear") == [0.2, 0.4]
