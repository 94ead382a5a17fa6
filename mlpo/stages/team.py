"""The team of params.yaml in the method's words: prompts with their worked examples, and sampling."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice, zip_longest

from mlpo.config import AgentConfig, ConfigError, Params, SamplingConfig
from mlpo.layout import SHOT_PROBLEMS
from mlpo.method.prompts import AgentPrompt
from mlpo.store import read_jsonl
from mlpo.types import Problem, Sampling


def agent_prompt(name: str, agent: AgentConfig) -> AgentPrompt:
    """The agent's prompt: system message and the first problems of the shots split, one of each family in turn.

    Raises:
        ConfigError: the split holds fewer problems of a family than the agent is to be shown.
    """
    shown: list[list[Problem]] = []
    for family, count in agent.shots.items():
        found = list(islice((p for p in read_jsonl(SHOT_PROBLEMS, Problem) if p.family == family), count))
        if len(found) < count:
            raise ConfigError(
                f"params.yaml: team.{name}.shots.{family}: {count} worked examples wanted, but {SHOT_PROBLEMS} "
                f"holds {len(found)}; lower it or raise prepare.num_shots"
            )
        shown.append(found)
    return AgentPrompt(name, agent.system, tuple(p for turn in zip_longest(*shown) for p in turn if p is not None))


def sampling_of(config: SamplingConfig) -> Sampling:
    """The section of params.yaml as a value."""
    return Sampling(config.temperature, config.top_p, config.max_tokens, tuple(config.stop))


def team_prompts(params: Params) -> tuple[AgentPrompt, ...]:
    """Every agent's prompt, in the team's order."""
    return tuple(agent_prompt(name, agent) for name, agent in params.team.items())


def team_sampling(params: Params) -> Mapping[str, Sampling]:
    """Every agent's sampling, by name."""
    return {name: sampling_of(agent.sampling) for name, agent in params.team.items()}
