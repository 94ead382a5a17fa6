"""A registered leader as it was evaluated: weights, parameters and its team's prompts (a version's folder -> play)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from mlpo.agents.runner import run_strategies
from mlpo.agents.shelf import ModelShelf
from mlpo.config import ConfigError, Params, RuntimeConfig, parse_params
from mlpo.method.prompts import AgentPrompt
from mlpo.stages.strategies import team_strategy
from mlpo.tracking.description import PARAMS_FILE, TEAM_FILE
from mlpo.types import LEADER, Problem, Transcript


@dataclass(frozen=True, slots=True)
class RegisteredLeader:
    """What a version's folder holds, ready to be played anywhere: it needs no file of a checkout."""

    folder: Path
    params: Params
    """Those it was made with, but for `runtime`, which is this machine's."""
    team: tuple[AgentPrompt, ...]

    def play(self, problems: Sequence[Problem], shelf: ModelShelf) -> list[Transcript]:
        """The leader's rounds with its own team, in the order of the problems."""
        backends = {
            n: shelf.backend(agent.model, agent.revision, agent.server, agent.quantize)
            for n, agent in self.params.team.items()
        }
        backends[LEADER] = shelf.backend(str(self.folder), None, self.params.leader.server)
        strategy = team_strategy(self.params, self.team)
        return run_strategies((strategy(problem) for problem in problems), backends)


def read_registered(folder: Path, runtime: RuntimeConfig) -> RegisteredLeader:
    """Read a version's folder.

    Raises:
        ConfigError: it was not written by stage `register`, or by one of other code.
    """
    for name in (PARAMS_FILE, TEAM_FILE):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder / name}: missing, so its team is not known; register the leader again")
    params = parse_params(TypeAdapter(dict).validate_json((folder / PARAMS_FILE).read_bytes()), source=PARAMS_FILE)
    team = TypeAdapter(tuple[AgentPrompt, ...]).validate_json((folder / TEAM_FILE).read_bytes())
    return RegisteredLeader(folder, params.model_copy(update={"runtime": runtime}), team)
