"""Whom to ask without a leader that reads proposals: the best source by family, and when a proposal is trusted.

A source is an agent's name, or `LEADER` for the leader alone. Both rules are counted on problems that are no test
problems:

    source(family) = argmax over sources of (right answers / answers) on the family's problems
    trust the proposal that shares most of the question's rarer words where overlap_share >= cut, else the leader alone

They see what a leader sees, and learn nothing from it but a table and a number: a trained leader is to beat them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from mlpo.method.answers import agent_answer
from mlpo.method.rare_words import WordCounts
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.leader_rounds import order_of
from mlpo.types import LEADER, Completion, Problem

NEVER = 2.0
"""A cut that no proposal reaches, since an overlap's share is at most 1: the leader alone answers everything."""


@dataclass(frozen=True, slots=True)
class Routing:
    """All that the routers know; JSON holds it as it is."""

    by_family: Mapping[str, str]
    """Family -> the source that was best on it."""
    overall: str
    """The source that was best on all problems: for families that are not in the table."""
    cut: float
    """The least share of a question's rarity that a proposal must repeat to be trusted; 0 always, `NEVER` never."""
    words: WordCounts
    """Of the training questions: which words are rare."""

    def source(self, family: str) -> str:
        """Who answers this family."""
        return self.by_family.get(family, self.overall)

    def trusted(self, problem: Problem, proposals: Sequence[Completion]) -> Completion | None:
        """The proposal that answers instead of the leader alone; None if none shares enough of the question."""
        best = most_on_topic(problem, proposals, self.words)
        return best.proposal if best is not None and best.share >= self.cut else None


class OnTopic(NamedTuple):
    """A proposal, and how far it speaks of the question."""

    proposal: Completion
    share: float
    """Of the question's rarity, from 0 to 1."""


class FamilyTable(NamedTuple):
    """The best source of each family, and of all problems together."""

    by_family: dict[str, str]
    overall: str


UNROUTED = Routing({}, LEADER, NEVER, WordCounts(0, {}))
"""Before anything was counted: the leader alone answers everything."""


def fit_routing(
    train: Sequence[ProposalSet], calibration: Sequence[ProposalSet], alone: Mapping[str, bool], *, seed: int
) -> Routing:
    """Count what the routers know: the table on all problems, the cut on calibration problems, words in training.

    The leader alone counts where `alone` knows it. It must know the calibration problems. Training problems may be
    left out, and are better left out: the leader has trained on them, which flatters it there and no untrained agent.

    Args:
        alone: problem id -> is the leader right without its team?
    Raises:
        ValueError: no problems, or a calibration problem that `alone` does not know.
    """
    words = WordCounts.of(proposals.problem.question for proposals in train)
    table = family_table([*train, *calibration], alone)
    return Routing(table.by_family, table.overall, choose_cut(calibration, alone, words, seed=seed), words)


def family_table(sets: Sequence[ProposalSet], alone: Mapping[str, bool]) -> FamilyTable:
    """The source with the largest share of right answers, by family and overall; ties: leader alone, then team's order.

    An agent counts with all its samples on all problems, the leader alone on the problems that `alone` knows; in a
    family of which it knows none, the leader is no source.

    Raises:
        ValueError: no problems.
    """
    if not sets:
        raise ValueError("family_table needs the proposals of at least one problem")
    families = sorted({proposals.problem.family for proposals in sets})
    of_family = {family: [s for s in sets if s.problem.family == family] for family in families}
    return FamilyTable({f: _best_source(theirs, alone) for f, theirs in of_family.items()}, _best_source(sets, alone))


def most_on_topic(problem: Problem, proposals: Sequence[Completion], words: WordCounts) -> OnTopic | None:
    """The proposal with an answer that shares most of the question's rarer words; None without one.

    Of equals the one that its agent is surest of where that is known, else the first.
    """
    answering = [c for c in proposals if agent_answer(c, problem) is not None]
    scored = [OnTopic(c, words.overlap_share(problem.question, c.text)) for c in answering]
    return max(scored, key=lambda each: (each.share, each.proposal.certainty or 0.0), default=None)


def choose_cut(sets: Sequence[ProposalSet], alone: Mapping[str, bool], words: WordCounts, *, seed: int) -> float:
    """The cut with the most right answers: an overlap seen on these problems, or `NEVER`; ties go to the larger one.

    So of equals it is the one that trusts fewer proposals. Samples of one index make one team, as in play.

    Args:
        alone: problem id -> is the leader right without its team?
        seed: of the order in which equal proposals stand, as in play.
    Raises:
        ValueError: `alone` does not know one of the problems.
    """
    if unknown := [s.problem.id for s in sets if s.problem.id not in alone]:
        raise ValueError(f"a cut needs the leader's own answer to every problem; {len(unknown)} lack it: {unknown[:3]}")
    gains = [pair for proposals in sets for pair in _gains(proposals, alone[proposals.problem.id], words, seed)]
    cut, most, total = NEVER, 0, 0
    for share, equals in groupby(sorted(gains, reverse=True), key=lambda pair: pair[0]):
        total += sum(gain for _, gain in equals)  # what is gained over the leader alone if the cut is here
        if total > most:
            cut, most = share, total
    return cut


def _gains(proposals: ProposalSet, alone: bool, words: WordCounts, seed: int) -> list[tuple[float, int]]:
    """(overlap's share, right answers gained by trusting it: 1, 0 or -1) of each team of samples."""
    names = order_of(proposals.problem.id, tuple(proposals.proposals), seed)
    found: list[tuple[float, int]] = []
    for index, team in enumerate(zip(*(proposals.proposals[name] for name in names), strict=False)):
        best = most_on_topic(proposals.problem, team, words)
        if best is not None:
            found.append((best.share, proposals.correct[best.proposal.model][index] - alone))
    return found


def _best_source(sets: Sequence[ProposalSet], alone: Mapping[str, bool]) -> str:
    flags = {LEADER: [alone[s.problem.id] for s in sets if s.problem.id in alone]}
    flags |= {name: [flag for s in sets for flag in s.correct[name]] for name in sets[0].correct}
    shares = {source: Fraction(sum(right), len(right)) for source, right in flags.items() if right}
    return max(shares, key=shares.__getitem__)  # of equals the first
