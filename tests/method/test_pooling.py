"""Several runs pooled by problem, by hand."""

from __future__ import annotations

import pytest

from mlpo.method.metrics.evaluation import paired_difference
from mlpo.method.metrics.pooling import pooled_accuracy, pooled_difference, problem_means, sign_flip_p
from mlpo.method.metrics.significance import mcnemar_p

RUNS = [{"p1": True, "p2": False}, {"p2": True, "p3": True}, {"p1": False, "p2": True}]


def test_scores_are_averaged_inside_a_problem_first() -> None:
    assert problem_means(RUNS) == {"p1": 1 / 2, "p2": 2 / 3, "p3": 1}
    accuracy = pooled_accuracy(RUNS, num_samples=200, seed=0)
    assert (accuracy.difference, accuracy.n) == (0.722222, 3)  # (1/2 + 2/3 + 1) / 3, and not 4 of 6


def test_a_run_twice_says_no_more_than_once() -> None:
    run = {f"p{i}": i % 3 == 0 for i in range(60)}
    once, twice = (pooled_accuracy([run] * times, num_samples=500, seed=0) for times in (1, 2))
    assert twice == once


def test_one_run_is_the_paired_difference() -> None:
    a = {f"p{i:02}": i % 2 == 0 for i in range(40)}
    b = {f"p{i:02}": i % 3 == 0 for i in range(40)}
    expected = paired_difference(list(a.values()), list(b.values()), num_samples=500, seed=3)
    assert pooled_difference([a], [b], num_samples=500, seed=3) == expected


def test_a_difference_is_paired_inside_problem_and_run() -> None:
    # p1: (1 - 0 + 0 - 0) / 2 = 0.5, p2: (0 - 1 + 1 - 0) / 2 = 0; together 0.25
    first = [{"p1": True, "p2": False}, {"p1": False, "p2": True}]
    other = [{"p1": False, "p2": True}, {"p1": False, "p2": False}]
    result = pooled_difference(first, other, num_samples=200, seed=0)
    assert (result.difference, result.n) == (0.25, 2)
    assert result.interval == (0, 0.5)  # both draws p2, or both p1


def test_runs_with_other_problems_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="the same problems in each run"):
        pooled_difference(RUNS, RUNS[1:] + RUNS[:1], seed=0)


def test_sign_flips_of_one_run_are_mcnemars_test() -> None:
    # 5 problems differ, all in one direction: 2 of 2^5 ways to flip are as extreme, p = 2/32
    first = {f"p{n}": True for n in range(8)}
    other = {name: name >= "p5" for name in first}
    assert sign_flip_p([first], [other], seed=0) == mcnemar_p(5, 0) == 0.0625
    assert sign_flip_p([other], [first], seed=0) == 0.0625


def test_sign_flips_weigh_a_problem_by_its_mean_over_runs() -> None:
    # differences 1, 1/2, -1/2: the mean 1/3 is reached or exceeded by 3 of 8 signs, in both directions by 6
    first = [{"a": True, "b": True, "c": False}, {"a": True, "b": True, "c": False}]
    other = [{"a": False, "b": False, "c": True}, {"a": False, "b": True, "c": False}]
    assert sign_flip_p(first, other, seed=0) == 0.75


def test_no_difference_or_a_single_one_has_p_1() -> None:
    assert sign_flip_p([{"a": True, "b": True}], [{"a": True, "b": False}], seed=0) == 1.0
    assert sign_flip_p([{"a": True}], [{"a": True}], seed=0) == 1.0
