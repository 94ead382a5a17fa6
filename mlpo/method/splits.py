"""Splits by content: which problems train, test and serve as worked examples."""

from __future__ import annotations

from collections.abc import Iterable
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


def split_family(
    pool: Iterable[Problem], test_pool: Iterable[Problem], num_shots: int, num_train: int, num_test: int, seed: int
) -> Splits:
    """Draw three parts of one family by the problems' content, so that the rows' order does not matter.

    Args:
        pool: worked examples and training problems are drawn from it.
        test_pool: test problems are drawn from it, never one that was drawn before; it may be the same pool.
    Raises:
        ValueError: fewer problems than are wanted.
    """
    drawn = _distinct(pool, seed)[: num_shots + num_train]
    used = {same_question(p) for p in drawn}
    test = tuple(p for p in _distinct(test_pool, seed) if same_question(p) not in used)[:num_test]
    wanted, found = num_shots + num_train + num_test, len(drawn) + len(test)
    if found < wanted:
        raise ValueError(f"{wanted} distinct problems wanted, {found} given")
    return Splits(drawn[:num_shots], drawn[num_shots:], test)


def halves(problems: Iterable[Problem]) -> tuple[list[Problem], list[Problem]]:
    """Two halves of about the same size, each problem's side decided by its question alone.

    No seed and no other problem moves it, so rows may be added and nothing that was trained on is ever tested on.
    """
    sides: tuple[list[Problem], list[Problem]] = ([], [])
    for problem in problems:
        sides[derive_seed("half", problem.benchmark, same_question(problem)) % 2].append(problem)
    return sides


def overlap(splits: Splits) -> tuple[str, ...]:
    """Questions that stand in more than one split, compared without case and spacing."""
    parts = [{same_question(p) for p in part} for part in (splits.shots, splits.train, splits.test)]
    return tuple(sorted({q for a, b in combinations(parts, 2) for q in a & b}))


def same_question(problem: Problem) -> str:
    """What two problems share that ask the same: the question without case and spacing."""
    return " ".join(problem.question.lower().split())


def _distinct(problems: Iterable[Problem], seed: int) -> tuple[Problem, ...]:
    return _mixed({same_question(p): p for p in problems}.values(), seed, "split")


def _mixed(problems: Iterable[Problem], seed: int, purpose: str) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda p: (derive_seed(seed, purpose, p.id), p.id)))
