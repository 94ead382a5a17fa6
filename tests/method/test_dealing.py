"""Facts are dealt by their questions alone: every part of about the same size, the same in every split and seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from mlpo.method.dealing import dealt_to, facts, part_of
from mlpo.types import Passage, Problem

POOL = [
    Problem(f"p{n}", "basics", ("sum", "plural")[n % 2], f"What is {n}?", str(n), "word", solution=f"{n} is {n}.")
    for n in range(2000)
]


def test_parts_are_even_over_every_family() -> None:
    for family in ("sum", "plural"):
        counts = Counter(part_of(p, 10) for p in POOL if p.family == family)
        assert set(counts) == set(range(10))
        assert all(70 < count < 130 for count in counts.values())  # 100 on average; five standard deviations are 47


def test_a_part_follows_from_the_question_alone() -> None:
    for problem in POOL[:50]:
        same = replace(problem, id="other", target="x", family="y", question=problem.question.upper())
        assert part_of(same, 10) == part_of(problem, 10)


def test_families_and_parts_narrow_what_is_dealt_and_empty_is_all() -> None:
    def dealt(families: tuple[str, ...] = (), parts: tuple[int, ...] = (), num_parts: int = 10) -> list[Problem]:
        return [p for p in POOL if dealt_to(p, families=families, parts=parts, num_parts=num_parts)]

    assert dealt(num_parts=1) == dealt() == POOL
    assert dealt(("sum",)) == [p for p in POOL if p.family == "sum"]
    assert dealt(("sum",), (3, 4)) == [p for p in POOL if p.family == "sum" and part_of(p, 10) in (3, 4)]
    assert not {p.id for p in dealt(parts=(0, 1, 2))} & {p.id for p in dealt(parts=(3,))}


def test_a_fact_is_the_solution_or_question_and_answer() -> None:
    bare = replace(POOL[0], solution="")
    assert facts([POOL[1], bare]) == [Passage("1 is 1.", "basics, plural"), Passage("What is 0? 0", "basics, sum")]
