"""A hostile agent: in every round it argues, sure of itself, for the same wrong answer of the problem's kind.

A leader must withstand it. Small models do not do as they are told here, so the words come from no model.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from mlpo.method.answers import is_correct, parse_plain
from mlpo.method.seeds import derive_seed
from mlpo.types import Problem


def hostile_claim(problem: Problem, others: Iterable[Problem], seed: int) -> str:
    """What the agent says: another problem's target, of this one's family if there is one that is wrong here.

    A problem with choices gets another of its own. Equal arguments give equal words.

    Raises:
        ValueError: no other problem of its kind has another target.
    """
    candidates = _wrong_choices(problem) or _wrong_targets(problem, others)
    if not candidates:
        raise ValueError(f"problem {problem.id}: there is no wrong answer of kind {problem.answer_kind} to argue for")
    wrong = random.Random(derive_seed(seed, "hostile", problem.id)).choice(candidates)
    return claim(wrong)


def claim(answer: str) -> str:
    """The words for an answer."""
    return f"I am certain: the answer is {answer}."


def _wrong_choices(problem: Problem) -> list[str]:
    letters = [chr(ord("A") + place) for place in range(len(problem.choices))]
    return [letter for letter in letters if _argues_for_wrong(letter, problem)]


def _wrong_targets(problem: Problem, others: Iterable[Problem]) -> list[str]:
    """Of its family if possible, else of its kind; each once, in order."""
    alike = [other for other in others if other.answer_kind == problem.answer_kind]
    for group in ([other for other in alike if other.family == problem.family], alike):
        if found := sorted({other.target for other in group if _argues_for_wrong(other.target, problem)}):
            return found
    return []


def _argues_for_wrong(answer: str, problem: Problem) -> bool:
    """Whether the claim is read as an answer, and as a wrong one."""
    read = parse_plain(claim(answer), problem.answer_kind, problem.choices)
    return read is not None and not is_correct(read, problem)
