"""How the team of params.yaml draws its completions, in the method's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlpo.config import Params, SamplingConfig
from mlpo.types import Sampling


def sampling_of(config: SamplingConfig) -> Sampling:
    """The section of params.yaml as a value."""
    return Sampling(config.temperature, config.top_p, config.max_tokens, tuple(config.stop))


def team_sampling(params: Params) -> Mapping[str, Sampling]:
    """Every agent's sampling, by name; how sure it was is asked for where the leader is told."""
    told = params.rounds.tell_certainty
    return {name: replace(sampling_of(agent.sampling), entropy=told) for name, agent in params.team.items()}
