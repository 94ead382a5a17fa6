"""Who enters a contest: a strategy with what it costs, the strategies that share a leader, how a leader is sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mlpo.config import Params
from mlpo.types import Sampling, Strategy

NUM_EXAMPLES = 4
"""Worked examples of its form that the untrained leader is shown; more crowd out a small model's context."""
SELF_CONSISTENCY_SAMPLING = Sampling(temperature=0.7, top_p=0.95)
"""As in arXiv:2203.11171, section 3.1."""


class Entrant(NamedTuple):
    """A strategy and its budget."""

    strategy: Strategy
    generations: int
    """Completions per problem, if nothing stops early."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Strategies that are run together, since they ask the same leader."""

    model: str | None
    """The leader's model, or None where no leader is asked."""
    revision: str | None
    entrants: Mapping[str, Entrant]
    """By the names they have in metrics.json."""

    @property
    def generations(self) -> int:
        """Completions per problem, if nothing stops early."""
        return sum(entrant.generations for entrant in self.entrants.values())


def leader_sampling(params: Params) -> Sampling:
    """A leader that is judged answers greedily, and says how unsure it is."""
    return Sampling(temperature=0.0, top_p=1.0, max_tokens=params.rounds.max_draft_tokens, entropy=True)
