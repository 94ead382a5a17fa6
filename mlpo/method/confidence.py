"""How sure an answer is: from a completion's doubt to P(right), and how well that tells right from wrong.

Doubt shows in the mean entropy of the token distributions along a greedy text (`Completion.entropy`; cascades,
arXiv:2404.10136, and DeepConf, arXiv:2508.15260, read the same distributions). Where a model does not tell them, it
shows in how few of some further samples give the same answer. A monotone map, fitted on problems that nothing is
trained on, makes P(right) of either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from scipy.stats import rankdata

from mlpo.method.metrics.shares import rounded

Signal = Literal["entropy", "agreement"]
"""What P(right) is read from. It falls with entropy, in nats, and rises with agreement, a share."""
NUM_BINS = 10
"""Bins of a reliability diagram."""


def agreement(answers: Sequence[str | None]) -> float:
    """The share of the answers after the first that give the first one; 0 where that is None.

    Raises:
        ValueError: nothing to agree with.
    """
    if len(answers) < 2:
        raise ValueError(f"agreement needs an answer and at least 1 more, got {len(answers)}")
    first, *others = answers
    return others.count(first) / len(others) if first is not None else 0.0


@dataclass(frozen=True, slots=True)
class ConfidenceMap:
    """From a signal to P(right): straight lines between the knots, flat before the first and after the last."""

    knots: tuple[tuple[float, float], ...]
    """(signal, P(right)) by rising signal; P only rises, or only falls."""

    def __post_init__(self) -> None:
        """Refuse what is no monotone map.

        Raises:
            ValueError: no knots, two of one signal, a P outside 0 to 1, or P both rises and falls.
        """
        steps = [b[1] - a[1] for a, b in pairwise(self.knots)]
        rising = all(a[0] < b[0] for a, b in pairwise(self.knots))
        monotone = min(steps, default=0) >= 0 or max(steps, default=0) <= 0
        if not self.knots or not rising or not monotone or any(not 0 <= p <= 1 for _, p in self.knots):
            raise ValueError(
                f"a confidence map needs knots by rising signal, with a monotone P from 0 to 1, got {self.knots}"
            )

    def __call__(self, signal: float) -> float:
        """P(right) at this signal."""
        place = bisect_left(self.knots, signal, key=lambda knot: knot[0])
        if place == 0 or place == len(self.knots):
            return self.knots[min(place, len(self.knots) - 1)][1]
        (x0, p0), (x1, p1) = self.knots[place - 1 : place + 1]
        straight = p0 + (p1 - p0) * (signal - x0) / (x1 - x0)
        return min(max(straight, min(p0, p1)), max(p0, p1))  # rounding errors pass no knot

    def to_json(self) -> list[list[float]]:
        """The knots, as JSON holds them."""
        return [list(knot) for knot in self.knots]

    @classmethod
    def from_json(cls, knots: Sequence[Sequence[float]]) -> ConfidenceMap:
        """The map of these knots.

        Raises:
            ValueError: they are none.
        """
        return cls(tuple((float(signal), float(p)) for signal, p in knots))


class Bin(NamedTuple):
    """Answers of about equal confidence."""

    low: float
    high: float
    confidence: float
    """Their mean P(right)."""
    accuracy: float
    n: int


def auc(confidences: Sequence[float], correct: Sequence[bool]) -> float | None:
    """P(a right answer is surer than a wrong one), ties a half (Mann and Whitney 1947); None unless there are both."""
    num_right = sum(correct)
    num_wrong = len(correct) - num_right
    if not num_right or not num_wrong:
        return None
    ranks = rankdata(confidences)
    of_right = sum(rank for rank, right in zip(ranks, correct, strict=True) if right)
    return rounded((of_right - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def reliability(confidences: Sequence[float], correct: Sequence[bool], num_bins: int = NUM_BINS) -> list[Bin]:
    """Bins of equal width from 0 to 1, without the empty ones: calibrated is where accuracy equals confidence."""
    places = [min(int(confidence * num_bins), num_bins - 1) for confidence in confidences]
    members = list(zip(places, confidences, correct, strict=True))
    bins = []
    for place in sorted(set(places)):
        mine = [(confidence, right) for at, confidence, right in members if at == place]
        mean = sum(confidence for confidence, _ in mine) / len(mine)
        share_right = sum(right for _, right in mine) / len(mine)
        low, high = place / num_bins, (place + 1) / num_bins
        bins.append(Bin(rounded(low), rounded(high), rounded(mean), rounded(share_right), len(mine)))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean over answers of |accuracy - confidence| of their bin (arXiv:1706.04599)."""
    return rounded(sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / max(sum(b.n for b in bins), 1))


def confidence_report(confidences: Sequence[float], correct: Sequence[bool]) -> Mapping[str, Any]:
    """AUC, calibration error and reliability bins, as metrics.json has them."""
    bins = reliability(confidences, correct)
    return {
        "n": len(confidences),
        "auc": auc(confidences, correct),
        "calibration_error": calibration_error(bins),
        "bins": [each._asdict() for each in bins],
    }
