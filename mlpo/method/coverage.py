"""Which team to take: how often at least one of its agents is right, for every subset of the agents there are.

    P(some agent of S right) = mean over problems of  1 - prod over k in S of (1 - q_k)

q_k is the share of agent k's proposals to the problem that are right: with one proposal each, 0 or 1. It is the most
that a leader can take from the team, and what an agent adds to it counts more than what it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import prod
from typing import NamedTuple

from mlpo.method.metrics.evaluation import Difference, paired_difference
from mlpo.method.metrics.shares import rounded
from mlpo.method.selection import ProposalSet

MAX_AGENTS = 12
"""4095 subsets."""


class Coverage(NamedTuple):
    """One subset of the agents."""

    agents: tuple[str, ...]
    any_right: float
    """P(some agent right)."""
    without_others: Difference
    """Its P minus that of all agents, with the paired bootstrap's interval over problems."""


def coverage_of_subsets(sets: Sequence[ProposalSet], *, confidence: float, seed: int) -> list[Coverage]:
    """Every subset of the agents but the empty one: the smallest first, of equal size the best first.

    Raises:
        ValueError: fewer than two problems, an agent without a proposal, or more than `MAX_AGENTS` agents.
    """
    if len(sets) < 2:
        raise ValueError(f"coverage needs at least 2 problems, got {len(sets)}")
    agents = tuple(sets[0].correct)
    if len(agents) > MAX_AGENTS:
        raise ValueError(f"{len(agents)} agents have too many subsets; take at most {MAX_AGENTS}")
    whole = _any_right(sets, agents)
    found = []
    for subset in _subsets(agents):
        theirs = _any_right(sets, subset)
        difference = paired_difference(theirs, whole, confidence=confidence, seed=seed)
        found.append(Coverage(subset, rounded(sum(theirs) / len(theirs)), difference))
    return sorted(found, key=lambda each: (len(each.agents), -each.any_right))


def _subsets(agents: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (subset for size in range(1, len(agents) + 1) for subset in combinations(agents, size))


def _any_right(sets: Sequence[ProposalSet], agents: Sequence[str]) -> list[float]:
    """For each problem the chance that one proposal of each agent, drawn at random, holds a right one."""
    if any(not each.correct[agent] for each in sets for agent in agents):
        raise ValueError("every agent needs a proposal to every problem")
    return [1 - prod(1 - sum(each.correct[agent]) / len(each.correct[agent]) for agent in agents) for each in sets]
