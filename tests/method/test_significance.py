"""McNemar's exact test, Holm's correction and the verdict, by hand."""

from __future__ import annotations

import pytest

from mlpo.method.metrics.significance import holm_p, mcnemar_p, verdict


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [
        (0, 0, 1),  # they never differ
        (5, 0, 0.0625),  # 2 / 2^5
        (0, 5, 0.0625),
        (3, 3, 1),
        (7, 1, 0.070312),  # 2 * (1 + 8) / 2^8 = 0.0703125, to 6 places
    ],
)
def test_mcnemars_exact_p(won: int, lost: int, p: float) -> None:
    assert mcnemar_p(won, lost) == pytest.approx(p, abs=1e-6)


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    # rising: 0.01 * 4 = 0.04; 0.02 * 3 = 0.06; 0.025 * 2 = 0.05, so the 0.06 before it; 0.6 * 1
    assert holm_p({"d": 0.6, "b": 0.02, "a": 0.01, "c": 0.025}) == {"d": 0.6, "b": 0.06, "a": 0.04, "c": 0.06}


def test_one_comparison_needs_no_correction_and_none_is_fine() -> None:
    assert holm_p({"a": 0.3}) == {"a": 0.3}
    assert holm_p({"a": 0.6, "b": 0.7}) == {"a": 1, "b": 1}
    assert holm_p({}) == {}


def test_a_verdict_is_the_direction_of_a_difference_whose_corrected_p_is_small_enough() -> None:
    assert verdict(0.1, 0.05, confidence=0.95) == "better"
    assert verdict(-0.1, 0.05, confidence=0.95) == "worse"
    assert verdict(0.1, 0.051, confidence=0.95) == verdict(-0.1, 1, confidence=0.95) == "not told apart"
    assert verdict(0.1, 0.1, confidence=0.9) == "better"  # in binary 1 - 0.9 is a little less than 0.1
    assert verdict(0, 0, confidence=0.95) == "not told apart"
