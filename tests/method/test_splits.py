"""Splits share no question, follow the seed and do not depend on the order of rows."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mlpo.method.splits import Sizes, Splits, cut, overlap, split_family
from mlpo.types import Problem


def problem(number: int, question: str | None = None) -> Problem:
    return Problem(f"id{number}", "basics", "sum", question or f"{number} + 1?", str(number + 1), "integer")


PROBLEMS = [problem(i) for i in range(20)]
SIZES = Sizes(shots=2, train=6, calibration=3, test=9)


def test_parts_have_the_sizes_asked_for_and_share_nothing():
    splits = split_family(PROBLEMS, PROBLEMS, SIZES, seed=0)
    assert (len(splits.shots), len(splits.train), len(splits.calibration), len(splits.test)) == SIZES
    assert overlap(splits) == ()


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    splits = split_family(PROBLEMS, PROBLEMS, SIZES, seed=0)
    assert splits == split_family(PROBLEMS[::-1], PROBLEMS[::-1], SIZES, seed=0)
    assert splits != split_family(PROBLEMS, PROBLEMS, SIZES, seed=1)


def test_more_calibration_problems_move_no_shot_and_no_training_problem():
    few, more = (split_family(PROBLEMS, PROBLEMS, Sizes(2, 6, n, 7), seed=0) for n in (0, 5))
    assert few.calibration == ()
    assert (few.shots, few.train) == (more.shots, more.train)


def test_a_question_that_stands_twice_under_two_ids_counts_once():
    again = [problem(100 + i, f"  {i}  + 1? ".upper()) for i in range(20)]
    splits = split_family([*PROBLEMS, *again], [*PROBLEMS, *again], SIZES, seed=0)
    assert overlap(splits) == ()
    with pytest.raises(ValueError, match=r"14 \+ 7 distinct problems wanted, 14 \+ 6 given"):
        split_family([*PROBLEMS, *again], [*PROBLEMS, *again], Sizes(2, 9, 3, 7), seed=0)


def test_parts_come_from_their_own_pools():
    splits = split_family(PROBLEMS[:8], PROBLEMS[8:], Sizes(2, 4, 2, 12), seed=0)
    assert {*splits.shots, *splits.train, *splits.calibration} == set(PROBLEMS[:8])
    assert set(splits.test) == set(PROBLEMS[8:])
    with pytest.raises(ValueError, match=r"8 \+ 13 distinct problems wanted, 8 \+ 12 given"):
        split_family(PROBLEMS[:8], PROBLEMS[8:], Sizes(2, 4, 2, 13), seed=0)
    with pytest.raises(ValueError, match=r"9 \+ 11 distinct problems wanted, 8 \+ 11 given"):
        split_family(PROBLEMS[:8], PROBLEMS[8:], Sizes(2, 4, 3, 11), seed=0)


@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(2, 5), Fraction(1, 4)])
def test_added_rows_move_no_problem_from_training_to_test(share: Fraction):
    many = [problem(i) for i in range(1000)]
    few_rest, few_test = cut(many[:600], share)
    rest, test = cut(many, share)
    assert (set(few_rest) - set(rest), set(few_test) - set(test)) == (set(), set())
    assert abs(len(test) - 1000 * share) < 50  # standard deviation 16 or less
    assert cut([problem(1000, many[0].question.upper())], share)[0 if many[0] in rest else 1]


def test_overlap_is_found_by_content_not_by_id():
    twin = Problem("other", "basics", "sum", "3  + 1?", "4", "integer")
    assert overlap(Splits((), (PROBLEMS[3],), (), (twin,))) == ("3 + 1?",)
    assert overlap(Splits((), (), (PROBLEMS[3],), (twin,))) == ("3 + 1?",)
    assert overlap(Splits((), (PROBLEMS[3],), (twin,), ())) == ("3 + 1?",)


def test_merging_mixes_the_families_and_loses_nothing():
    parts = [
        split_family(PROBLEMS[:10], PROBLEMS[:10], Sizes(1, 3, 2, 4), seed=0),
        split_family(PROBLEMS[10:], PROBLEMS[10:], Sizes(1, 3, 2, 4), seed=0),
    ]
    merged = Splits.merge(parts, seed=0)
    for split in ("train", "calibration", "test"):
        assert {p.id for p in getattr(merged, split)} == {p.id for part in parts for p in getattr(part, split)}
    assert merged.train != (*parts[0].train, *parts[1].train)
