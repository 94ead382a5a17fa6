"""Confidence: what an answer shows of its doubt becomes P(right), and how well that tells right from wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.confidence import ConfidenceMap, agreement, auc, calibration_error, confidence_report, reliability

FALLING = ConfidenceMap(((0.1, 0.9), (0.5, 0.5), (1.0, 0.1)))


def test_agreement_is_the_share_of_further_samples_that_give_the_answer() -> None:
    assert agreement(["lima", "lima", "quito", None]) == pytest.approx(1 / 3)
    assert agreement([None, None, None]) == 0.0  # no answer agrees with nothing
    with pytest.raises(ValueError, match="at least 1 more, got 1"):
        agreement(["lima"])


@pytest.mark.parametrize(
    ("entropy", "p"), [(0.0, 0.9), (0.1, 0.9), (0.3, 0.7), (0.5, 0.5), (0.75, 0.3), (1.0, 0.1), (9.0, 0.1)]
)
def test_a_map_goes_straight_between_its_knots_and_flat_outside(entropy: float, p: float) -> None:
    # halfway from 0.1 to 0.5 is 0.3, and from 0.9 to 0.5 it is 0.7
    assert FALLING(entropy) == pytest.approx(p)


def test_a_map_of_one_knot_is_flat() -> None:
    assert [ConfidenceMap(((0.4, 0.7),))(x) for x in (0.0, 0.4, 2.0)] == [0.7, 0.7, 0.7]


def test_a_map_comes_back_from_json() -> None:
    assert ConfidenceMap.from_json(FALLING.to_json()) == FALLING


@pytest.mark.parametrize(
    "knots",
    [
        (),
        ((0.5, 0.1), (0.5, 0.2)),
        ((0.5, 0.1), (0.4, 0.2)),
        ((0.1, 1.1),),
        ((0.1, 0.2), (0.2, 0.4), (0.3, 0.1)),
    ],
    ids=["none", "equal signals", "falling signals", "P above 1", "up and down"],
)
def test_knots_that_are_no_monotone_map_are_refused(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="knots by rising signal"):
        ConfidenceMap(knots)


@given(st.lists(st.floats(0, 2), min_size=2, max_size=2))
def test_who_is_less_unsure_is_not_less_sure(entropies: list[float]) -> None:
    low, high = sorted(entropies)
    assert FALLING(low) >= FALLING(high)


def test_auc_counts_the_pairs_in_which_the_right_one_is_surer() -> None:
    # right .9 .5, wrong .5 .1: .9 beats both, .5 ties with .5 (half) and beats .1: 3.5 of 4
    assert auc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == 3.5 / 4
    assert auc([0.9, 0.1], [True, True]) is None


def test_reliability_bins_hold_what_is_about_equally_sure() -> None:
    bins = reliability([0.0, 0.04, 0.55, 0.95, 1.0], [False, True, True, True, False])
    assert [tuple(b) for b in bins] == [(0.0, 0.1, 0.02, 0.5, 2), (0.5, 0.6, 0.55, 1.0, 1), (0.9, 1.0, 0.975, 0.5, 2)]
    # (2 |.5 - .02| + |1 - .55| + 2 |.5 - .975|) / 5
    assert calibration_error(bins) == pytest.approx((0.96 + 0.45 + 0.95) / 5)


def test_a_report_of_nothing_is_empty() -> None:
    assert confidence_report([], []) == {"n": 0, "auc": None, "calibration_error": 0.0, "bins": []}
