"""Splits share no question, follow the seed and do not depend on the order of rows."""

from __future__ import annotations

import pytest

from mlpo.method.splits import Splits, halves, overlap, split_family
from mlpo.types import Problem


def problem(number: int, question: str | None = None) -> Problem:
    return Problem(f"id{number}", "basics", "sum", question or f"{number} + 1?", str(number + 1), "integer")


PROBLEMS = [problem(i) for i in range(20)]


def test_parts_have_the_sizes_asked_for_and_share_nothing():
    splits = split_family(PROBLEMS, PROBLEMS, 2, 6, 9, seed=0)
    assert (len(splits.shots), len(splits.train), len(splits.test)) == (2, 6, 9)
    assert overlap(splits) == ()


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    assert split_family(PROBLEMS, PROBLEMS, 2, 6, 9, seed=0) == split_family(
        PROBLEMS[::-1], PROBLEMS[::-1], 2, 6, 9, seed=0
    )
    assert split_family(PROBLEMS, PROBLEMS, 2, 6, 9, seed=0) != split_family(PROBLEMS, PROBLEMS, 2, 6, 9, seed=1)


def test_a_question_that_stands_twice_under_two_ids_counts_once():
    again = [problem(100 + i, f"  {i}  + 1? ".upper()) for i in range(20)]
    splits = split_family([*PROBLEMS, *again], [*PROBLEMS, *again], 2, 6, 9, seed=0)
    assert overlap(splits) == ()
    with pytest.raises(ValueError, match="21 distinct problems wanted, 20 given"):
        split_family([*PROBLEMS, *again], [*PROBLEMS, *again], 2, 9, 10, seed=0)


def test_parts_come_from_their_own_pools():
    splits = split_family(PROBLEMS[:8], PROBLEMS[8:], 2, 6, 12, seed=0)
    assert {*splits.shots, *splits.train} == set(PROBLEMS[:8])
    assert set(splits.test) == set(PROBLEMS[8:])
    with pytest.raises(ValueError, match="21 distinct problems wanted, 20 given"):
        split_family(PROBLEMS[:8], PROBLEMS[8:], 2, 6, 13, seed=0)


def test_added_rows_move_no_problem_from_training_to_test():
    many = [problem(i) for i in range(1000)]
    few_train, few_test = halves(many[:600])
    train, test = halves(many)
    assert (set(few_train) - set(train), set(few_test) - set(test)) == (set(), set())
    assert 450 < len(train) < 550  # 500 expected, standard deviation 16
    assert halves([problem(1000, many[0].question.upper())])[0 if many[0] in train else 1]


def test_overlap_is_found_by_content_not_by_id():
    twin = Problem("other", "basics", "sum", "3  + 1?", "4", "integer")
    assert overlap(Splits((), (PROBLEMS[3],), (twin,))) == ("3 + 1?",)


def test_merging_mixes_the_families_and_loses_nothing():
    parts = [
        split_family(PROBLEMS[:10], PROBLEMS[:10], 1, 4, 5, seed=0),
        split_family(PROBLEMS[10:], PROBLEMS[10:], 1, 4, 5, seed=0),
    ]
    merged = Splits.merge(parts, seed=0)
    assert {p.id for p in merged.train} == {p.id for part in parts for p in part.train}
    assert merged.train != (*parts[0].train, *parts[1].train)
