"""What asking a team only when unsure gives and costs, for every threshold: replayed from answers that were all made.

A problem has a trail: the leader's answer alone, that after round 1, that after round 2, each with its confidence and
cost. On a trail any thresholds can be replayed and no model is asked again: go on while unsure, give the surest answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from mlpo.method.metrics.shares import rounded

NEVER, ALWAYS = 0.0, 2.0
"""Thresholds below and above every P(right)."""
PRICED_TOKENS = 1000
"""A price is per so many tokens."""
MAX_CUTS = 64
"""Thresholds tried for drafts, beside every one for the answer alone."""


class Attempt(NamedTuple):
    """One answer that was made on a problem."""

    confidence: float
    """P(right)."""
    answered: bool
    """Could an answer be read?"""
    correct: bool
    tokens: int
    """Prompts and completions of this attempt alone: of a round, those of all its agents too."""
    generations: int
    draft_tokens: int = 0
    """Of a draft that is made only where asking ends with it; not among `tokens`."""
    draft_generations: int = 0


Trail = Sequence[Attempt]
"""A problem's attempts in the order in which they are made."""


class Outcome(NamedTuple):
    """What a strategy would have made of one problem."""

    correct: bool
    asked: bool
    """Did it go on after the first attempt?"""
    generations: int
    tokens: int


class Point(NamedTuple):
    """What two thresholds give on some problems: means a problem."""

    ask_below: float
    again_below: float
    accuracy: float
    share_asked: float
    generations: float
    tokens: float

    def worth(self, price: float) -> float:
        """accuracy - price * tokens / 1000."""
        return self.accuracy - price * self.tokens / PRICED_TOKENS


def surest(attempts: Iterable[tuple[bool, float]]) -> int:
    """The place of the answer to give, of (could it be read, P(right)) each: the surest; of equals the latest."""
    ranked = [(*attempt, place) for place, attempt in enumerate(attempts)]
    return max(ranked)[-1]


def replayed(trail: Trail, ask_below: float, again_below: float) -> Outcome:
    """Go on after the first attempt below `ask_below`, after later ones below `again_below`; give the surest answer."""
    made = 1
    while made < len(trail) and trail[made - 1].confidence < (ask_below if made == 1 else again_below):
        made += 1
    *before, last = trail[:made]
    answers = [*(a for a in before if not a.draft_generations), last]
    given = answers[surest((a.answered, a.confidence) for a in answers)]
    generations = sum(a.generations for a in trail[:made]) + last.draft_generations
    return Outcome(given.correct, made > 1, generations, sum(a.tokens for a in trail[:made]) + last.draft_tokens)


def point(trails: Sequence[Trail], ask_below: float, again_below: float) -> Point:
    """What these thresholds give.

    Raises:
        ValueError: no problems.
    """
    return _mean(ask_below, again_below, [replayed(trail, ask_below, again_below) for trail in trails])


def curve(trails: Sequence[Trail], again_below: float | None = None) -> list[Point]:
    """A point for every threshold that makes a difference to the first attempt, from never to always asking.

    Args:
        again_below: the threshold of later attempts; None moves it together with the first one's.
    Raises:
        ValueError: no problems.
    """
    thresholds = cuts(trail[0].confidence for trail in trails)
    if again_below is None:
        together = sorted({*thresholds, *cuts(a.confidence for trail in trails for a in trail[1:-1])})
        return [point(trails, threshold, threshold) for threshold in together]
    alone = [replayed(trail, NEVER, again_below) for trail in trails]
    asked = [replayed(trail, ALWAYS, again_below) for trail in trails]
    both = [(trail[0].confidence, a, b) for trail, a, b in zip(trails, alone, asked, strict=True)]
    return [_mean(cut, again_below, [b if sure < cut else a for sure, a, b in both]) for cut in thresholds]


def best(points: Iterable[Point], *, price: float = 0.0, share: float | None = None) -> Point:
    """The point worth most (see `Point.worth`) among those of which at most `share` ask; of equals the cheapest."""
    allowed = (p for p in points if share is None or p.share_asked <= share)
    return max(allowed, key=lambda p: (p.worth(price), -p.tokens))


def choose_thresholds(
    trails: Sequence[Trail], *, price: float = 0.0, share: float | None = None, while_unsure: bool = True
) -> Point:
    """The thresholds worth most on these problems, and what they give there.

    Args:
        price: right answers that 1000 tokens are worth.
        share: of the problems, at most so many may ask.
        while_unsure: later rounds have a threshold of their own; else all are played once the team is asked.
    Raises:
        ValueError: no problems.
    """
    drafts = cuts(a.confidence for trail in trails for a in trail[1:-1]) if while_unsure else [ALWAYS]
    step = -(-len(drafts) // MAX_CUTS)
    candidates = (p for again_below in sorted({*drafts[::step], ALWAYS}) for p in curve(trails, again_below))
    return best(candidates, price=price, share=share)


def cuts(confidences: Iterable[float]) -> list[float]:
    """Thresholds that part these confidences in every way: never, halfway between two neighbours, always."""
    return [NEVER, *(_halfway(a, b) for a, b in pairwise(sorted(set(confidences)))), ALWAYS]


def frontier(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in accuracy at as few tokens, by rising tokens."""
    return list(_frontier(sorted(points, key=lambda p: (p.tokens, -p.accuracy))))


def _frontier(points: Iterable[Point]) -> Iterator[Point]:
    accuracy = -1.0
    for each in points:
        if each.accuracy > accuracy:
            accuracy = each.accuracy
            yield each


def _halfway(a: float, b: float) -> float:
    middle = (a + b) / 2
    return middle if a < middle else b  # neighbours among floats have nothing between them


def _mean(ask_below: float, again_below: float, outcomes: Sequence[Outcome]) -> Point:
    n = len(outcomes)
    if not n:
        raise ValueError("a threshold needs at least one problem to be measured on")
    return Point(
        ask_below,
        again_below,
        rounded(sum(o.correct for o in outcomes) / n),
        rounded(sum(o.asked for o in outcomes) / n),
        rounded(sum(o.generations for o in outcomes) / n),
        rounded(sum(o.tokens for o in outcomes) / n),
    )
