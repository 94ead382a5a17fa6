"""Tests of paired differences: McNemar's for one pair, Holm's correction for a family, and the verdict on a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from scipy.stats import binomtest

from mlpo.method.metrics.shares import rounded

Verdict = Literal["better", "worse", "not told apart"]
"""Of the first of a pair against the second."""


def mcnemar_p(won: int, lost: int) -> float:
    """McNemar's exact test (1947): under equal accuracies a problem that one strategy alone has right is a coin's toss.

    p = P(|X - n/2| >= |won - n/2|), X ~ Binomial(n, 1/2), n = won + lost; 1 where the two never differ.
    """
    return rounded(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm_p(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (1979): p below alpha holds for the whole family with an error below alpha.

    In rising order p'_(i) = max over j <= i of min(1, (m - j + 1) p_(j)), m the size of the family.
    """
    from statsmodels.stats.multitest import multipletests  # takes 2 s to import

    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: rounded(p) for name, p in zip(p_values, corrected, strict=True)}


def verdict(difference: float, corrected_p: float, *, confidence: float) -> Verdict:
    """The direction of the difference where p <= 1 - confidence, p corrected for all pairs that are shown together.

    The one rule of every table. A pair's own interval may leave out 0 all the same: among many pairs some do by chance.
    """
    if difference == 0 or corrected_p > rounded(1 - confidence):
        return "not told apart"
    return "better" if difference > 0 else "worse"
