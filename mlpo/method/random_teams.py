"""Other teams of the same proposals: fewer agents, another order, a hostile agent in one's place.

A leader that always meets the same whole team in the same order may learn names and places instead of what is said.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from mlpo.method.selection import ProposalTuple


def some_of(team: ProposalTuple, size: int, rng: random.Random) -> ProposalTuple:
    """`size` of its proposals, in their order; each is as likely to stay.

    Raises:
        ValueError: it has fewer.
    """
    return _picked(team, sorted(rng.sample(range(len(team.proposals)), size)))


def reordered(team: ProposalTuple, rng: random.Random) -> ProposalTuple:
    """The same proposals in a random order: models prefer places (arXiv:2305.17926)."""
    return _picked(team, rng.sample(range(len(team.proposals)), len(team.proposals)))


def with_hostile(team: ProposalTuple, text: str, rng: random.Random) -> ProposalTuple:
    """One agent, under its own name, says this wrong `text` instead: the claim of strategies/hostile_prompts.py.

    Where agents tell how sure they are, it is sure, and stands first.
    """
    place = rng.randrange(len(team.proposals))
    proposals, correct = list(team.proposals), list(team.correct)
    told = replace(proposals[place], text=text, finish_reason="stop", error="", passages=())
    agreement, entropy = told.agreement and (told.agreement[1], told.agreement[1]), told.entropy and 0.0
    proposals[place] = replace(told, agreement=agreement, entropy=entropy)
    correct[place] = False
    return ProposalTuple(tuple(proposals), tuple(correct), proposals[place].model).surest_first()


def _picked(team: ProposalTuple, places: Sequence[int]) -> ProposalTuple:
    proposals = tuple(team.proposals[i] for i in places)
    return ProposalTuple(proposals, tuple(team.correct[i] for i in places), team.hostile)
