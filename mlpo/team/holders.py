"""Who holds which fact: agents whose documents are dealt from a benchmark (params.yaml, problems -> counts)."""

from __future__ import annotations

from collections.abc import Iterable

from mlpo.config import Params, ReferenceConfig
from mlpo.method.dealing import dealt_to
from mlpo.types import Problem


def holds(config: ReferenceConfig, problem: Problem) -> bool:
    """Is the fact of a problem of this reference's benchmark dealt to it?"""
    return dealt_to(problem, families=config.families, parts=config.parts, num_parts=config.num_parts)


def num_holders(params: Params, problems: Iterable[Problem]) -> dict[str, int]:
    """Problem id -> agents that hold its fact; {} where it is not known: a user's documents, or no documents at all."""
    references = [agent.reference for agent in params.team.values() if agent.reference is not None]
    if not references or any(reference.benchmark is None for reference in references):
        return {}
    return {p.id: sum(r.benchmark == p.benchmark and holds(r, p) for r in references) for p in problems}
