"""Several seeds as one result: scores are averaged inside a problem first, then problems are what is resampled.

    x_p = mean over the runs that hold problem p of (right in that run? 1 or 0)
    accuracy = mean over p of x_p            difference = mean over p of (x_p of the first - x_p of the other)

Runs of one problem are not independent, so the bootstrap draws problems and never runs: a cluster bootstrap (Davison
and Hinkley, "Bootstrap Methods and their Application", 1997). That a question's samples are averaged before questions
are compared: Miller, "Adding Error Bars to Evals", arXiv:2411.00640.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import permutation_test

from mlpo.method.metrics.evaluation import Difference, paired_difference
from mlpo.method.metrics.shares import rounded

Scores = Mapping[str, bool]
"""Problem id -> was it answered right? Of one strategy in one run."""


def problem_means(runs: Sequence[Scores]) -> dict[str, float]:
    """Problem id -> mean score over the runs that hold the problem, by id; a run need not hold every problem."""
    scores: defaultdict[str, list[bool]] = defaultdict(list)
    for run in runs:
        for problem_id, right in run.items():
            scores[problem_id].append(right)
    return {problem_id: sum(flags) / len(flags) for problem_id, flags in sorted(scores.items())}


def pooled_accuracy(
    runs: Sequence[Scores], *, num_samples: int = 10_000, confidence: float = 0.95, seed: int
) -> Difference:
    """The mean over problems with its bootstrap interval; as a difference from 0.

    Raises:
        ValueError: fewer than two problems.
    """
    means = list(problem_means(runs).values())
    return paired_difference(means, [0.0] * len(means), num_samples=num_samples, confidence=confidence, seed=seed)


def pooled_difference(
    first: Sequence[Scores],
    other: Sequence[Scores],
    *,
    num_samples: int = 10_000,
    confidence: float = 0.95,
    seed: int,
) -> Difference:
    """The first strategy minus the other, paired by problem.

    Args:
        first, other: their scores in the same runs, in the same order.
    Raises:
        ValueError: the two do not have the same problems in every run, or there are fewer than two problems.
    """
    if [run.keys() for run in first] != [run.keys() for run in other]:
        raise ValueError("pooled strategies must have answered the same problems in each run")
    a, b = problem_means(first), problem_means(other)
    return paired_difference(
        list(a.values()), list(b.values()), num_samples=num_samples, confidence=confidence, seed=seed
    )


def sign_flip_p(first: Sequence[Scores], other: Sequence[Scores], *, num_samples: int = 10_000, seed: int) -> float:
    """Two-sided p of the mean difference when each problem's difference may as well have the other sign.

    Fisher's randomisation test for pairs ("The Design of Experiments", 1935); of one run it is McNemar's. Exact where
    there are no more than `num_samples` ways to flip, else estimated by so many; 1 without a difference.
    """
    a, b = problem_means(first), problem_means(other)
    differences = np.array([a[problem_id] - b[problem_id] for problem_id in a])
    differences = differences[differences != 0]  # flipping a zero changes nothing
    if differences.size < 2:
        return 1.0
    result = permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=num_samples,
        batch=1000,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return rounded(result.pvalue)
