"""What is compared: the strategies of each leader, by the names they have in metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mlpo.config import Params
from mlpo.layout import MLPO_LEADER, SFT_LEADER
from mlpo.method.baselines import majority_vote, self_consistency, single_agent, solo_leader
from mlpo.method.examples import worked_examples
from mlpo.method.prompts import AgentPrompt
from mlpo.method.rounds import leader_rounds
from mlpo.method.selection import ProposalSet
from mlpo.stages.team import team_sampling
from mlpo.types import LEADER, Sampling, Strategy, StrategyRun

NUM_EXAMPLES = 4
"""Worked examples of its form that the untrained leader is shown; more crowd out a small model's context."""
SELF_CONSISTENCY_SAMPLING = Sampling(temperature=0.7, top_p=0.95)
"""As in arXiv:2203.11171, section 3.1."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Strategies that are run together, since they ask the same leader."""

    model: str | None
    """The leader's model, or None where no leader is asked."""
    revision: str | None
    strategies: Mapping[str, Strategy]
    generations: int
    """Completions per problem, if nothing stops early."""


def contests(params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet]) -> list[Contest]:
    """Everything `evaluate` runs, leader by leader."""
    size, samples = len(team), params.evaluate.self_consistency_samples
    rounds = params.rounds.num_rounds * (size + 1)
    return [
        Contest(None, None, _without_leader(params, team), 2 * size),
        Contest(params.leader.model, params.leader.revision, _untrained(params, team, sets), rounds + samples),
        Contest(str(SFT_LEADER), None, _trained(params, team, "sft_leader"), rounds + 1),
        Contest(str(MLPO_LEADER), None, _trained(params, team, LEADER), rounds + 1),
    ]


def leader_sampling(params: Params) -> Sampling:
    """A leader that is judged answers greedily."""
    return Sampling(temperature=0.0, top_p=1.0, max_tokens=params.rounds.max_draft_tokens)


def team_strategy(params: Params, team: Sequence[AgentPrompt]) -> Callable[..., StrategyRun]:
    """The leader's rounds with this team and these parameters; name, examples and leniency are still open."""
    return partial(
        leader_rounds,
        team=team,
        sampling=team_sampling(params),
        leader_sampling=leader_sampling(params),
        num_rounds=params.rounds.num_rounds,
        share=params.rounds.share,
        early_stop=params.rounds.early_stop,
        seed=params.seed,
    )


def _without_leader(params: Params, team: Sequence[AgentPrompt]) -> dict[str, Strategy]:
    sampling = team_sampling(params)
    singles: dict[str, Strategy] = {
        f"single:{agent.name}": partial(single_agent, agent=agent, sampling=sampling[agent.name], seed=params.seed)
        for agent in team
    }
    return {**singles, "majority_vote": partial(majority_vote, team=team, sampling=sampling, seed=params.seed)}


def _untrained(params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet]) -> dict[str, Strategy]:
    """The untrained leader gets a fair chance: worked examples of the form, and its last line counts without tags."""
    name = "untrained_leader"
    examples = worked_examples(sets, NUM_EXAMPLES, params.seed)
    strategies: dict[str, Strategy] = {
        name: partial(team_strategy(params, team), name=name, examples=examples, lenient=True)
    }
    if params.evaluate.self_consistency_samples:
        strategies["self_consistency"] = partial(
            self_consistency,
            num_samples=params.evaluate.self_consistency_samples,
            leader_sampling=replace(SELF_CONSISTENCY_SAMPLING, max_tokens=params.rounds.max_draft_tokens),
            seed=params.seed,
            examples=worked_examples(sets, NUM_EXAMPLES, params.seed, solo=True),
            lenient=True,
        )
    return strategies


def _trained(params: Params, team: Sequence[AgentPrompt], name: str) -> dict[str, Strategy]:
    solo = partial(solo_leader, leader_sampling=leader_sampling(params), seed=params.seed, name=f"{name}_solo")
    return {name: partial(team_strategy(params, team), name=name), f"{name}_solo": solo}
