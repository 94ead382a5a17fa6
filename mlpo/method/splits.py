"""Splits by content: which problems train, test and serve as worked examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mlpo.method.seeds import derive_seed
from mlpo.types import Problem


@dataclass(frozen=True, slots=True)
class Splits:
    """Problems in three parts that share no question."""

    shots: tuple[Problem, ...]
    train: tuple[Problem, ...]
    test: tuple[Problem, ...]

    @classmethod
    def merge(cls, parts: Iterable[Splits], seed: int) -> Splits:
        """All parts as one; shots stay in family order, the others are mixed by seed."""
        found = list(parts)
        return cls(
            tuple(p for part in found for p in part.shots),
            _mixed((p for part in found for p in part.train), seed, "train"),
            _mixed((p for part in found for p in part.test), seed, "test"),
        )


def split_family(problems: Sequence[Problem], num_shots: int, num_train: int, num_test: int, seed: int) -> Splits:
    """Draw three parts of one family by the problems' content, so that the rows' order does not matter.

    Raises:
        ValueError: fewer problems than are wanted.
    """
    wanted = num_shots + num_train + num_test
    ranked = _mixed({_question(p): p for p in problems}.values(), seed, "split")
    if len(ranked) < wanted:
        raise ValueError(f"{wanted} distinct problems wanted, {len(ranked)} given")
    end = num_shots + num_train
    return Splits(ranked[:num_shots], ranked[num_shots:end], ranked[end:wanted])


def overlap(splits: Splits) -> tuple[str, ...]:
    """Questions that stand in more than one split, compared without case and spacing."""
    parts = [{_question(p) for p in part} for part in (splits.shots, splits.train, splits.test)]
    return tuple(sorted({q for a, b in combinations(parts, 2) for q in a & b}))


def _mixed(problems: Iterable[Problem], seed: int, purpose: str) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (derive_seed(seed, purpose, p.id), p.id)))


def _question(problem: Problem) -> str:
    return " ".join(problem.question.lower().split())
