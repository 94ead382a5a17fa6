"""Dealing a benchmark's facts to agents, so that none holds all: by family, or by a hash of the question.

Which part a fact belongs to follows from its question alone. Neither the seed nor the split moves it, so facts are
dealt alike over training, calibration and test problems, and every seed has the same agents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mlpo.method.seeds import derive_seed
from mlpo.method.splits import same_question
from mlpo.types import Passage, Problem


def part_of(problem: Problem, num_parts: int) -> int:
    """The part of a fact: 0 to num_parts - 1, evenly by hash."""
    return derive_seed("part", problem.benchmark, same_question(problem)) % num_parts


def dealt_to(problem: Problem, *, families: Collection[str], parts: Collection[int], num_parts: int) -> bool:
    """Does whoever holds these families and parts hold this fact? Empty means all."""
    return (not families or problem.family in families) and (not parts or part_of(problem, num_parts) in parts)


def facts(problems: Iterable[Problem]) -> list[Passage]:
    """One passage a problem: its solution in one line, or question and answer where it has none."""
    return [Passage(p.solution or f"{p.question} {p.target}", f"{p.benchmark}, {p.family}") for p in problems]
