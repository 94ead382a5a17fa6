"""What a leader trains on: the easy filter over problems, their weights, and tuples of one proposal per agent."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import NamedTuple

from mlpo.method.seeds import derive_seed
from mlpo.method.strategies.leader_rounds import Share, order_of, shown, surest_first
from mlpo.types import Completion, Problem

MAX_DRAWS = 1024
"""Tuples looked at per problem; a problem with fewer possible ones has all of them looked at."""


@dataclass(frozen=True, slots=True)
class ProposalSet:
    """All proposals for one problem, and which are correct."""

    problem: Problem
    proposals: Mapping[str, tuple[Completion, ...]]
    """Agent -> its M completions."""
    correct: Mapping[str, tuple[bool, ...]]
    """Agent -> one flag per completion."""

    @property
    def share_correct(self) -> Fraction:
        """Correct proposals over all proposals, exactly; 0 if there are none."""
        flags = [flag for agent in self.correct.values() for flag in agent]
        return Fraction(sum(flags), len(flags)) if flags else Fraction(0)

    def shown(self, share: Share) -> ProposalSet:
        """The same with each proposal as the leader sees it."""
        seen = {agent: shown(self.problem, theirs, share) for agent, theirs in self.proposals.items()}
        return replace(self, proposals=seen)


class Filtered(NamedTuple):
    """What the easy filter left, in the given order, and what it counted."""

    kept: tuple[ProposalSet, ...]
    num_problems: int
    num_hard: int
    num_easy: int
    num_easy_kept: int


class ProposalTuple(NamedTuple):
    """One proposal per agent, in the order in which the leader is shown them."""

    proposals: tuple[Completion, ...]
    correct: tuple[bool, ...]
    """One flag per proposal."""
    hostile: str = ""
    """The agent for whom a hostile one speaks; empty is none."""

    def surest_first(self) -> ProposalTuple:
        """The same as the leader is shown them in `mlpo.method.strategies.leader_rounds.surest_first`."""
        flags = dict(zip(self.proposals, self.correct, strict=True))
        ordered = surest_first(self.proposals)
        return self._replace(proposals=ordered, correct=tuple(flags[proposal] for proposal in ordered))

    @property
    def num_correct(self) -> int:
        """How many proposals are correct."""
        return sum(self.correct)


def easy_filter(sets: Sequence[ProposalSet], *, threshold: float, easy_share: float, seed: int) -> Filtered:
    """Drop problems of whose proposals at least `threshold` are correct, but keep some.

    Kept easy problems = round(easy_share * hard problems), at most all of them, chosen by seed. The paper drops at
    0.75; AggLM (arXiv:2509.06870) found that keeping no easy ones is nearly as bad as no training.
    """
    easy = [s for s in sets if s.share_correct >= Fraction(str(threshold))]
    num_hard = len(sets) - len(easy)
    num_kept = min(len(easy), round(easy_share * num_hard))
    ranked = sorted(easy, key=lambda s: derive_seed(seed, "easy_filter", s.problem.id))
    dropped = {s.problem.id for s in ranked[num_kept:]}
    kept = tuple(s for s in sets if s.problem.id not in dropped)
    return Filtered(kept, len(sets), num_hard, len(easy), num_kept)


def failure_weights(solo_accuracy: Mapping[str, float], failure_weight: float) -> dict[str, float]:
    """Problem id -> how often it is met: w = 1 - f q, which is f (1 - q) and a share 1 - f that all keep.

    q is the share of the leader's own samples without a team that are right. DAPO (arXiv:2503.14476) leaves out the
    problems with q = 1.

    Raises:
        ValueError: f = 1, and the leader alone is right everywhere.
    """
    weights = {problem_id: 1 - failure_weight * q for problem_id, q in solo_accuracy.items()}
    if weights and not any(weights.values()):
        raise ValueError("every problem has weight 0: the leader alone is right everywhere")
    return weights


def draw_tuples(proposals: ProposalSet, num: int, seed: int) -> tuple[ProposalTuple, ...]:
    """Up to `num` tuples that differ in text: first a mixed, an all-wrong and an all-right one where they exist.

    The rest is drawn without replacement from all combinations. Fewer than `num` come back if no more texts exist (or
    are found among `MAX_DRAWS`). Agents stand in `order_of` the problem, or the surest first.

    Raises:
        ValueError: an agent has no proposal, or proposals and flags do not pair up.
    """
    names = order_of(proposals.problem.id, tuple(proposals.proposals), seed)
    for name in names:
        if not proposals.proposals[name] or len(proposals.proposals[name]) != len(proposals.correct[name]):
            raise ValueError(f"problem {proposals.problem.id}: agent {name} needs proposals, and one flag for each")
    rng = random.Random(derive_seed(seed, "draw_tuples", proposals.problem.id))
    flags = [proposals.correct[name] for name in names]
    distinct: dict[tuple[str, ...], ProposalTuple] = {}
    for picks in (*_one_of_each_class(flags, rng), *_random_picks(flags, rng)):
        chosen = tuple(proposals.proposals[name][i] for name, i in zip(names, picks, strict=True))
        correct = tuple(agent[i] for agent, i in zip(flags, picks, strict=True))
        distinct.setdefault(tuple(c.text for c in chosen), ProposalTuple(chosen, correct).surest_first())
        if len(distinct) == num:
            break
    return tuple(distinct.values())[:num]


def count_by_correct(tuples: Iterable[ProposalTuple]) -> dict[int, int]:
    """Number of correct proposals -> number of tuples, ascending: what the leader's prompts hold."""
    return dict(sorted(Counter(t.num_correct for t in tuples).items()))


def best_agent(sets: Sequence[ProposalSet]) -> str:
    """The agent with the most correct proposals; of equals the first in the team's order.

    Raises:
        ValueError: no sets.
    """
    if not sets:
        raise ValueError("best_agent needs the proposals of at least one problem")
    totals = Counter(dict.fromkeys(sets[0].proposals, 0))
    for proposals in sets:
        totals.update({name: sum(flags) for name, flags in proposals.correct.items()})
    return max(totals, key=totals.__getitem__)


def _one_of_each_class(flags: Sequence[Sequence[bool]], rng: random.Random) -> Iterator[tuple[int, ...]]:
    """A mixed, an all-wrong and an all-right choice of one index per agent, as far as they exist."""
    right = [[i for i, flag in enumerate(agent) if flag] for agent in flags]
    wrong = [[i for i, flag in enumerate(agent) if not flag] for agent in flags]
    pairs = [(a, b) for a in range(len(flags)) for b in range(len(flags)) if a != b and right[a] and wrong[b]]
    if pairs:
        a, b = rng.choice(pairs)
        mixed = [rng.randrange(len(agent)) for agent in flags]
        mixed[a], mixed[b] = rng.choice(right[a]), rng.choice(wrong[b])
        yield tuple(mixed)
    for indices in (wrong, right):
        if all(indices):
            yield tuple(rng.choice(agent) for agent in indices)


def _random_picks(flags: Sequence[Sequence[bool]], rng: random.Random) -> Iterator[tuple[int, ...]]:
    """Distinct choices of one index per agent in random order: all of them, or `MAX_DRAWS`."""
    num_choices = prod(len(agent) for agent in flags)
    for code in rng.sample(range(min(num_choices, sys.maxsize)), min(num_choices, MAX_DRAWS)):
        picks = []
        for agent in flags:  # `code` in mixed radix
            code, pick = divmod(code, len(agent))
            picks.append(pick)
        yield tuple(picks)
