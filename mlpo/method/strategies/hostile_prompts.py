"""A hostile agent: in every round it argues, sure of itself, for the same wrong answer of the problem's kind.

A leader must withstand it. Small models do not do as they are told here, so the words come from no model.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain, islice

from mlpo.method.answers import is_correct, parse_plain
from mlpo.method.seeds import derive_seed
from mlpo.types import AnswerKind, Problem


class HostileClaims:
    """What the agent says of each problem: another problem's target, of its family if there is one that is wrong here.

    A problem with choices gets another of its own. Equal problems and seeds give equal words.
    """

    def __init__(self, problems: Iterable[Problem], seed: int) -> None:
        self._seed = seed
        found: defaultdict[tuple[AnswerKind, str | None], set[str]] = defaultdict(set)
        for problem in problems:
            for family in (problem.family, None):
                found[problem.answer_kind, family].add(problem.target)
        self._targets = {place: sorted(targets) for place, targets in found.items()}

    @property
    def identity(self) -> str:
        """Changes with the seed, with the targets that are borrowed, and with how one of them is chosen."""
        told = sorted((kind, targets) for (kind, family), targets in self._targets.items() if family is None)
        return sha256(repr(("from a random place", self._seed, told)).encode()).hexdigest()[:16]

    def of(self, problem: Problem) -> str:
        """The claim about a problem.

        Raises:
            ValueError: no problem of its kind has a target that is wrong here.
        """
        rng = random.Random(derive_seed(self._seed, "hostile", problem.id))
        if wrong := _wrong_choices(problem):
            return claim(rng.choice(wrong))
        for family in (problem.family, None):
            for target in _from_random_place(self._targets.get((problem.answer_kind, family), []), rng):
                if _argues_for_wrong(target, problem):
                    return claim(target)
        raise ValueError(f"problem {problem.id}: there is no wrong answer of kind {problem.answer_kind} to argue for")


def claim(answer: str) -> str:
    """The words for an answer."""
    return f"I am certain: the answer is {answer}."


def _wrong_choices(problem: Problem) -> list[str]:
    letters = [chr(ord("A") + place) for place in range(len(problem.choices))]
    return [letter for letter in letters if _argues_for_wrong(letter, problem)]


def _from_random_place(targets: Sequence[str], rng: random.Random) -> Iterator[str]:
    """All of them in their order, from a random one on: nearly every one is wrong, so few are looked at."""
    start = rng.randrange(len(targets)) if targets else 0
    return chain(islice(targets, start, None), islice(targets, start))


def _argues_for_wrong(answer: str, problem: Problem) -> bool:
    """Whether the claim is read as an answer, and as a wrong one."""
    read = parse_plain(claim(answer), problem.answer_kind, problem.choices)
    return read is not None and not is_correct(read, problem)
