"""A registered leader as it was evaluated: weights, parameters and its team's prompts (a version's folder -> play)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlpo.config import AgentConfig, ConfigError, Params, RuntimeConfig, parse_params
from mlpo.evaluation.policy import read_policy
from mlpo.evaluation.strategies import consult_strategy
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.runner import run_strategies
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.prompts import AgentPrompt, LookUp, no_passages
from mlpo.team.prompts import index_of
from mlpo.tracking.description import PARAMS_FILE, POLICY_FILE, TEAM_FILE, reference_in
from mlpo.types import LEADER, Problem, Transcript

PLAYED = ("seed", "team", "leader", "rounds", "consult")
"""Parameters that say how a leader plays; the others say how it was made."""


@dataclass(frozen=True, slots=True)
class RegisteredLeader:
    """What a version's folder holds, ready to be played anywhere: it needs no file of a checkout."""

    folder: Path
    params: Params
    """Those it was made with, but for `runtime`, which is this machine's."""
    team: tuple[AgentPrompt, ...]
    policy: ConsultPolicy | None = None
    """When it is unsure, where it asks by that."""

    def play(self, problems: Sequence[Problem], model_pool: ModelPool) -> list[Transcript]:
        """The leader with its own team, asked as it was registered, in the order of the problems."""
        backends = {
            n: model_pool.backend(agent.model, agent.revision, agent.server, agent.quantize)
            for n, agent in self.params.team.items()
        }
        backends[LEADER] = model_pool.backend(str(self.folder), None, self.params.leader.server)
        strategy = consult_strategy(self.params, self.team, self.policy, name=LEADER)
        return run_strategies((strategy(problem) for problem in problems), backends)


def read_registered(folder: Path, runtime: RuntimeConfig) -> RegisteredLeader:
    """Read a version's folder.

    Raises:
        ConfigError: stage `register` did not write it, or its play has a parameter that is no longer known.
    """
    for name in (PARAMS_FILE, TEAM_FILE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder / name}: missing, so its team is not known; register the leader again")
    raw = TypeAdapter(dict[str, Any]).validate_json((folder / PARAMS_FILE).read_bytes())
    params = parse_params(_still_known(raw), source=PARAMS_FILE)
    team = TypeAdapter(tuple[AgentPrompt, ...]).validate_json((folder / TEAM_FILE).read_bytes())
    team = tuple(replace(prompt, look_up=_look_up(folder, prompt.name, params.team[prompt.name])) for prompt in team)
    policy = read_policy(params, folder / POLICY_FILE)
    return RegisteredLeader(folder, params.model_copy(update={"runtime": runtime}), team, policy)


def _look_up(folder: Path, name: str, agent: AgentConfig) -> LookUp:
    """How an agent looks questions up: in the passages that the version carries."""
    if agent.reference is None:
        return no_passages
    passages = reference_in(folder, name)
    if not passages.is_file():
        raise ConfigError(f"{passages}: missing, so {name} cannot look anything up; register the leader again")
    return index_of(passages, agent.reference.top_k).look_up


def _still_known(raw: dict[str, Any]) -> dict[str, Any]:
    """The parameters without those that code has dropped since, unless the leader would now play otherwise."""
    try:
        Params.model_validate(raw)
    except ValidationError as error:
        for unknown in (e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"):
            if unknown[0] not in PLAYED:
                raw = _without(raw, unknown)
    return raw


def _without(raw: dict[str, Any], path: Sequence[int | str]) -> dict[str, Any]:
    first, *rest = (str(part) for part in path)
    if not rest:
        return {name: value for name, value in raw.items() if name != first}
    return raw | {first: _without(raw[first], rest)}
