"""Splits by content: which problems train, calibrate, test and serve as worked examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, combinations
from typing import NamedTuple

from mlpo.method.seeds import derive_seed
from mlpo.types import Problem


class Sizes(NamedTuple):
    """How many problems each split gets."""

    shots: int
    train: int
    calibration: int
    test: int


@dataclass(frozen=True, slots=True)
class Splits:
    """Problems in four parts that share no question."""

    shots: tuple[Problem, ...]
    """Worked examples."""
    train: tuple[Problem, ...]
    calibration: tuple[Problem, ...]
    """Whatever is chosen is chosen here; nothing is trained on them."""
    test: tuple[Problem, ...]
    """They choose nothing."""

    @classmethod
    def merge(cls, parts: Iterable[Splits], seed: int) -> Splits:
        """All parts as one; shots stay in family order, the others are mixed by seed."""
        found = list(parts)
        return cls(
            tuple(p for part in found for p in part.shots),
            _mixed((p for part in found for p in part.train), seed, "train"),
            _mixed((p for part in found for p in part.calibration), seed, "calibration"),
            _mixed((p for part in found for p in part.test), seed, "test"),
        )


def split_family(pool: Iterable[Problem], test_pool: Iterable[Problem], sizes: Sizes, seed: int) -> Splits:
    """Draw four parts of one family by the problems' content, so that the rows' order does not matter.

    Where the two pools share no question, no seed's training or calibration problem is another seed's test problem.

    Args:
        pool: worked examples, then training problems, then calibration problems are drawn from it.
        test_pool: test problems are drawn from it, never one that was drawn before; it may be the same pool.
    Raises:
        ValueError: fewer problems than are wanted.
    """
    shots, train, end = accumulate(sizes[:3])
    drawn = _distinct(pool, seed)[:end]
    used = {same_question(p) for p in drawn}
    test = tuple(p for p in _distinct(test_pool, seed) if same_question(p) not in used)[: sizes.test]
    if len(drawn) < end or len(test) < sizes.test:
        raise ValueError(f"{end} + {sizes.test} distinct problems wanted, {len(drawn)} + {len(test)} given")
    return Splits(drawn[:shots], drawn[shots:train], drawn[train:], test)


def cut(problems: Iterable[Problem], test_share: Fraction) -> tuple[list[Problem], list[Problem]]:
    """Two parts, the second with about `test_share` of all; each problem's side is decided by its question alone.

    No seed and no other problem moves it, so rows may be added and nothing that was trained on is ever tested on.
    """
    sides: tuple[list[Problem], list[Problem]] = ([], [])
    for problem in problems:
        place = derive_seed("half", problem.benchmark, same_question(problem)) % test_share.denominator
        sides[place >= test_share.denominator - test_share.numerator].append(problem)
    return sides


def overlap(splits: Splits) -> tuple[str, ...]:
    """Questions that stand in more than one split, compared without case and spacing."""
    parts = [{same_question(p) for p in part} for part in (splits.shots, splits.train, splits.calibration, splits.test)]
    return tuple(sorted({q for a, b in combinations(parts, 2) for q in a & b}))


def same_question(problem: Problem) -> str:
    """What two problems share that ask the same: the question without case and spacing."""
    return " ".join(problem.question.lower().split())


def _distinct(problems: Iterable[Problem], seed: int) -> tuple[Problem, ...]:
    return _mixed({same_question(p): p for p in problems}.values(), seed, "split")


def _mixed(problems: Iterable[Problem], seed: int, purpose: str) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (derive_seed(seed, purpose, p.id), p.id)))
