"""What a strategy makes of its team: by how many are right, where the only right one stands, how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mlpo.method.metrics.shares import accuracy_by_count, rounded, share


class TeamOutcome(NamedTuple):
    """One problem: what the team proposed first, and what came of it."""

    proposals_correct: tuple[bool, ...]
    """Was each proposal of round 0 right, in the order shown?"""
    num_agreeing: int
    """Proposals that give the most frequent answer; 0 if nobody gave one."""
    vote_correct: bool
    """Is the vote over them right?"""
    correct: bool
    """Was the strategy right in the end?"""


def team_metrics(outcomes: Sequence[TeamOutcome]) -> dict[str, Any]:
    """The part of a strategy's entry that is about its team; a team has at least one proposal, a position two.

    by_position is measured where exactly one proposal is right: a strategy without position bias is as often right
    wherever that one stands. by_agreement calibrates unanimity: vote_accuracy at K is how far to trust K equal answers.
    """
    size = max((len(o.proposals_correct) for o in outcomes), default=0)
    several = [o for o in outcomes if len(o.proposals_correct) > 1]
    lone = [o for o in several if sum(o.proposals_correct) == 1]
    return {
        "by_num_correct": accuracy_by_count(
            ((sum(o.proposals_correct), o.correct) for o in outcomes), range(size + 1 if outcomes else 0)
        ),
        "by_position": accuracy_by_count(
            ((o.proposals_correct.index(True), o.correct) for o in lone), range(size if several else 0)
        ),
        "by_agreement": _by_agreement(several, size),
        "agreement": rounded(sum(o.num_agreeing / len(o.proposals_correct) for o in several) / max(len(several), 1)),
        "rescued": share(o.correct for o in outcomes if not o.vote_correct),
        "talked_out_of_vote": share(not o.correct for o in outcomes if o.vote_correct),
    }


def _by_agreement(outcomes: Sequence[TeamOutcome], size: int) -> dict[str, dict[str, float]]:
    counts = range(size + 1 if outcomes else 0)
    own = accuracy_by_count(((o.num_agreeing, o.correct) for o in outcomes), counts)
    votes = accuracy_by_count(((o.num_agreeing, o.vote_correct) for o in outcomes), counts)
    return {count: row | {"vote_accuracy": votes[count]["accuracy"]} for count, row in own.items()}
