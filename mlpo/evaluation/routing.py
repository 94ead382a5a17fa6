"""Routers and their yardsticks: what they know (data/calibration/routing.json), and how they are played.

Routers play in the MLPO leader's contest, since the leader alone is one of their sources: the same leader with its team
is to beat them. `pooled_documents` is played by the leaders that no team has trained: the untrained one and SFT's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlpo.config import AgentConfig, ConfigError, Params
from mlpo.evaluation.contest import Entrant, leader_sampling
from mlpo.files import write_json_atomic
from mlpo.layout import ROUTING, passages_of
from mlpo.method.pooled_documents import pooled_documents
from mlpo.method.prompts import AgentPrompt
from mlpo.method.routers import router_by_family, router_by_overlap, router_by_score
from mlpo.method.routing import Routing
from mlpo.team.prompts import index_of
from mlpo.team.sampling import team_sampling
from mlpo.types import LEADER, Message

_ROUTING: TypeAdapter[Routing] = TypeAdapter(Routing)


def write_routing(routing: Routing) -> None:
    """Write what the routers know, readable and with sorted keys."""
    write_json_atomic(ROUTING, _ROUTING.dump_python(routing, mode="json"))


def read_routing(params: Params) -> Routing:
    """What the routers know of this team.

    Raises:
        ConfigError: the file is missing, is no routing, or names an agent that the team does not have.
    """
    again = "run `mlpo calibrate`, or `dvc repro` for all that is missing"
    if not ROUTING.is_file():
        raise ConfigError(f"{ROUTING}: no such file; {again}")
    try:
        routing = _ROUTING.validate_json(ROUTING.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{ROUTING}: not what the routers know ({error.errors()[0]['msg']}); {again}") from None
    if unknown := sorted({routing.overall, *routing.by_family.values()} - {LEADER, *params.team}):
        raise ConfigError(f"{ROUTING}: names {', '.join(unknown)}, but the team is {', '.join(params.team)}; {again}")
    return routing


def has_documents(params: Params) -> bool:
    """Does any agent have documents of its own? Without them there is no score to route by and nothing to pool."""
    return any(agent.reference is not None for agent in params.team.values())


def routers(params: Params, team: Sequence[AgentPrompt], routing: Routing) -> dict[str, Entrant]:
    """The routers that may ask the leader alone, by name; that by score only where agents have documents."""
    players: dict[str, Any] = {
        "team": team,
        "sampling": team_sampling(params),
        "leader_sampling": leader_sampling(params),
        "seed": params.seed,
    }
    entrants = {
        "router_by_family": Entrant(partial(router_by_family, routing=routing, **players), 1),
        "router_by_overlap": Entrant(partial(router_by_overlap, routing=routing, **players), len(team) + 1),
    }
    if has_documents(params):
        holding = {name: agent for name, agent in params.team.items() if agent.reference is not None}
        scores = {name: partial(_score, name, agent) for name, agent in holding.items()}
        entrants["router_by_score"] = Entrant(partial(router_by_score, scores=scores, **players), 1)
    return entrants


def pooled(
    params: Params, team: Sequence[AgentPrompt], name: str, *, examples: tuple[Message, ...] = (), lenient: bool = False
) -> dict[str, Entrant]:
    """The leader with everybody's documents, under its name; {} where nobody has any."""
    if not has_documents(params):
        return {}
    played: dict[str, Any] = {"leader_sampling": leader_sampling(params), "seed": params.seed, "name": name}
    shown: dict[str, Any] = {"examples": examples, "lenient": lenient}
    return {name: Entrant(partial(pooled_documents, team=team, **played, **shown), 1)}


def _score(name: str, agent: AgentConfig, question: str) -> float:
    """BM25 of the best passage of an agent's documents; their index is built once, when first asked."""
    assert agent.reference is not None
    return index_of(passages_of(name), agent.reference.top_k).score(question)
