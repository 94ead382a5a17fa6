"""The strategies that `evaluate.rivals` asks for, by name: debate, Mixture-of-Agents, Corex, lessons, equal budgets.

None of them trains anything: the team is the leader's team, and the untrained leader judges, aggregates or picks, with
the same worked examples and the same lenient reading that it has elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mlpo.config import Params
from mlpo.evaluation.contest import NUM_EXAMPLES, SELF_CONSISTENCY_SAMPLING, Contest, Entrant, leader_sampling
from mlpo.method.prompts import AgentPrompt
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.budgets import self_consistency_within, vote_within
from mlpo.method.strategies.corex import corex_discuss, corex_retrieve, corex_review, score_examples
from mlpo.method.strategies.debate import debate
from mlpo.method.strategies.deferral import deferral, deferral_examples
from mlpo.method.strategies.lessons import lessons
from mlpo.method.strategies.mixture import mixture_of_agents
from mlpo.method.strategies.worked_examples import worked_examples
from mlpo.team.sampling import team_sampling
from mlpo.types import StrategyRun

AFTER_THE_LEADER = ("majority_vote_equal_tokens", "self_consistency_equal_tokens")
"""Rivals whose budget is known only once the leader has played."""


def rivals(params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet]) -> dict[str, Entrant]:
    """What is asked for and can be played at once, in the order asked for."""
    wanted = [name for name in params.evaluate.rivals if name not in AFTER_THE_LEADER]
    known = _known(params, team, sets) if wanted else {}
    return {name: known[name] for name in wanted}


def rivals_at_equal_tokens(
    params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet], tokens: Mapping[str, int]
) -> Contest:
    """What is asked for at equal tokens: `tokens` by problem are what the leader spent with its team.

    Their generations are unknown before; the plan counts those of equal generations.
    """
    wanted = [name for name in params.evaluate.rivals if name in AFTER_THE_LEADER]
    built = {
        "majority_vote_equal_tokens": _wide_vote(params, team),
        "self_consistency_equal_tokens": _self_consistency(params, sets),
    }
    entrants = {
        name: Entrant(partial(built[name], budget=tokens, name=name), leader_generations(params)) for name in wanted
    }
    return Contest(params.leader.model, params.leader.revision, entrants)


def leader_generations(params: Params) -> int:
    """What the leader with its team asks for: (K + 1) * T, or (K M + 1) * T with the agreement of M samples."""
    return (len(params.team) * params.rounds.agreement_samples + 1) * params.rounds.num_rounds


def _known(params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet]) -> dict[str, Entrant]:
    size, turns, equal = len(team), params.evaluate.rival_rounds, leader_generations(params)
    players: dict[str, Any] = {"team": team, "sampling": team_sampling(params), "seed": params.seed}
    judge: dict[str, Any] = {"leader_sampling": leader_sampling(params)}
    shown = judge | {"examples": worked_examples(sets, NUM_EXAMPLES, params.seed), "lenient": True}
    scores = judge | {"examples": score_examples(sets, NUM_EXAMPLES, params.seed)}
    picks = judge | {"examples": deferral_examples(sets, NUM_EXAMPLES, params.seed)}
    taught: dict[str, Any] = {"num_rounds": turns, "max_lessons": params.evaluate.rival_lessons}
    vote, consistency = "majority_vote_equal_generations", "self_consistency_equal_generations"
    return {
        "debate": Entrant(partial(debate, **players, num_rounds=turns), size * turns),
        "mixture_of_agents": Entrant(
            partial(mixture_of_agents, **players, **shown, num_layers=turns), size * turns + 1
        ),
        "corex_discuss": Entrant(partial(corex_discuss, **players, **shown, num_rounds=turns), size * turns + 1),
        "corex_review": Entrant(partial(corex_review, **players), size),
        "corex_retrieve": Entrant(partial(corex_retrieve, **players, **scores), 2 * size),
        "lessons": Entrant(partial(lessons, **players, **taught), size * (2 * turns - 1)),
        "deferral": Entrant(partial(deferral, **players, **picks), size + 1),
        vote: Entrant(partial(_wide_vote(params, team), budget=equal, name=vote), equal),
        consistency: Entrant(partial(_self_consistency(params, sets), budget=equal, name=consistency), equal),
    }


def _wide_vote(params: Params, team: Sequence[AgentPrompt]) -> Callable[..., StrategyRun]:
    return partial(vote_within, team=team, sampling=team_sampling(params), seed=params.seed)


def _self_consistency(params: Params, sets: Sequence[ProposalSet]) -> Callable[..., StrategyRun]:
    return partial(
        self_consistency_within,
        leader_sampling=replace(SELF_CONSISTENCY_SAMPLING, max_tokens=params.rounds.max_draft_tokens),
        seed=params.seed,
        examples=worked_examples(sets, NUM_EXAMPLES, params.seed, solo=True),
        lenient=True,
    )
