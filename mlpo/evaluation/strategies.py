"""What is compared: the strategies of each leader, by the names they have in metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mlpo.config import Params
from mlpo.evaluation.contest import NUM_EXAMPLES, SELF_CONSISTENCY_SAMPLING, Contest, Entrant, leader_sampling
from mlpo.evaluation.rivals import leader_generations, rivals, rivals_at_equal_tokens
from mlpo.evaluation.routing import pooled, routers
from mlpo.layout import MLPO_LEADER, SFT_LEADER
from mlpo.method.agreement import agreed, with_agreement
from mlpo.method.consult import consult, every_answer
from mlpo.method.consult_policy import ConsultPolicy, measuring
from mlpo.method.prompts import AgentPrompt
from mlpo.method.routers import surest_agent
from mlpo.method.routing import UNROUTED, Routing
from mlpo.method.selection import ProposalSet
from mlpo.method.strategies.baselines import (
    ORACLE,
    majority_vote,
    self_consistency,
    single_agent,
    solo_leader,
    weighted_vote,
)
from mlpo.method.strategies.leader_rounds import RoundRules, leader_rounds
from mlpo.method.strategies.worked_examples import worked_examples
from mlpo.team.sampling import team_sampling
from mlpo.types import LEADER, Problem, StrategyRun

CONSULT = "leader_consult"
"""The trained leader that asks by how sure it is."""


def contests(
    params: Params,
    team: Sequence[AgentPrompt],
    sets: Sequence[ProposalSet],
    routing: Routing,
    policy: ConsultPolicy | None = None,
) -> list[Contest]:
    """Everything `evaluate` runs, leader by leader, but what needs to know first what the leader spent.

    Args:
        routing: what the routers know.
        policy: when the trained leader is unsure; None if it does not ask by that, or nothing is played.
    """
    untrained = _untrained(params, team, sets) | rivals(params, team, sets)
    sft = _trained(params, team, "sft_leader") | pooled(params, team, "sft_pooled_documents")
    mlpo = _trained(params, team, LEADER) | _selective(params, team, policy) | routers(params, team, routing)
    trained = {"sft": Contest(str(SFT_LEADER), None, sft), "mlpo": Contest(str(MLPO_LEADER), None, mlpo)}
    return [
        Contest(None, None, _without_leader(params, team)),
        *([Contest(params.leader.model, params.leader.revision, untrained)] if untrained else []),
        *(contest for leader, contest in trained.items() if leader in params.evaluate.leaders),
    ]


def strategy_names(params: Params) -> tuple[str, ...]:
    """All that an evaluation with these parameters leaves in metrics.json, by name; no file is read."""
    team = [AgentPrompt(name, agent.system) for name, agent in params.team.items()]
    played = (*contests(params, team, [], UNROUTED), rivals_at_equal_tokens(params, team, [], {}))
    return (*(name for contest in played for name in contest.entrants), ORACLE)


def team_strategy(params: Params, team: Sequence[AgentPrompt]) -> Callable[..., StrategyRun]:
    """The leader's rounds with this team and these parameters; name, examples and leniency are still open."""
    rounds = partial(
        leader_rounds,
        team=team,
        sampling=team_sampling(params),
        leader_sampling=leader_sampling(params),
        num_rounds=params.rounds.num_rounds,
        share=params.rounds.share,
        early_stop=params.rounds.early_stop,
        seed=params.seed,
    )
    return _told_how_sure(params, rounds)


def served_strategy(params: Params) -> str:
    """Which of the trained leader's strategies is played where it is registered, asked and served."""
    if params.is_selective:
        return CONSULT
    return f"{LEADER}_solo" if params.consult.when == "never" else LEADER


def consult_strategy(
    params: Params, team: Sequence[AgentPrompt], policy: ConsultPolicy | None, *, name: str = CONSULT, **changed: Any
) -> Callable[[Problem], StrategyRun]:
    """The leader that asks as `consult` and `rounds.continue` say; with neither set it is `team_strategy`.

    Args:
        policy: when it is unsure; None where it does not matter.
        changed: fields of `RoundRules` that are not as the parameters say.
    """
    rounds = partial(
        consult,
        rules=replace(_rules(params, team), **changed),
        policy=policy,
        when=params.consult.when,
        keep_asking=params.rounds.keep_asking,
        one_by_one=params.consult.one_by_one,
        name=name,
    )
    return _told_how_sure(params, rounds)


def _rules(params: Params, team: Sequence[AgentPrompt]) -> RoundRules:
    return RoundRules(
        tuple(team),
        team_sampling(params),
        leader_sampling(params),
        params.rounds.num_rounds,
        params.seed,
        params.rounds.share,
        params.rounds.early_stop,
    )


def measuring_strategy(params: Params, team: Sequence[AgentPrompt]) -> Callable[[Problem], StrategyRun]:
    """The leader alone and then all its rounds, whatever it is sure of: what a policy is calibrated on.

    One by one, its draft after each agent of the first round too.
    """
    if params.consult.one_by_one:
        return partial(every_answer, rules=_rules(params, team), name=CONSULT)
    never_sure = params.model_copy(
        update={
            "consult": params.consult.model_copy(update={"when": "unsure"}),
            "rounds": params.rounds.model_copy(update={"keep_asking": "always"}),
        }
    )
    return consult_strategy(never_sure, team, measuring(params.consult.samples))


def measured_entrant(params: Params, team: Sequence[AgentPrompt]) -> Entrant:
    """`measuring_strategy` with its budget."""
    proposals = params.rounds.num_rounds * len(team)
    return Entrant(measuring_strategy(params, team), num_drafts(params) + proposals)


def _told_how_sure(params: Params, rounds: Callable[..., StrategyRun]) -> Callable[..., StrategyRun]:
    """Rounds whose leader is told how sure each agent is, if the parameters want that."""
    samples = params.rounds.agreement_samples
    if samples == 1:
        return rounds
    return lambda problem, **options: with_agreement(rounds(problem, **options), problem, samples)


def _without_leader(params: Params, team: Sequence[AgentPrompt]) -> dict[str, Entrant]:
    sampling, size = team_sampling(params), len(team)
    singles = {
        f"single:{agent.name}": Entrant(
            partial(single_agent, agent=agent, sampling=sampling[agent.name], seed=params.seed), 1
        )
        for agent in team
    }
    players: dict[str, Any] = {"team": team, "sampling": sampling, "seed": params.seed}
    entrants = singles | {"majority_vote": Entrant(partial(majority_vote, **players), size)}
    if params.rounds.tell_certainty:
        entrants["weighted_vote"] = Entrant(partial(weighted_vote, **players), size)
        entrants["surest_agent"] = Entrant(partial(surest_agent, **players), size)
    return entrants


def _untrained(params: Params, team: Sequence[AgentPrompt], sets: Sequence[ProposalSet]) -> dict[str, Entrant]:
    """The untrained leader gets a fair chance: worked examples of the form, and its last line counts without tags."""
    entrants = {}
    if "untrained" in params.evaluate.leaders:
        sure = [agreed(each) for each in sets] if params.rounds.agreement_samples > 1 else sets
        name, seen = "untrained_leader", [each.shown(params.rounds.share) for each in sure]
        examples = worked_examples(seen, NUM_EXAMPLES, params.seed)
        rounds = partial(team_strategy(params, team), name=name, examples=examples, lenient=True)
        entrants[name] = Entrant(rounds, leader_generations(params))
        alone = worked_examples(sets, NUM_EXAMPLES, params.seed, solo=True)
        entrants |= pooled(params, team, "pooled_documents", examples=alone, lenient=True)
    if samples := params.evaluate.self_consistency_samples:
        consistent = partial(
            self_consistency,
            num_samples=samples,
            leader_sampling=replace(SELF_CONSISTENCY_SAMPLING, max_tokens=params.rounds.max_draft_tokens),
            seed=params.seed,
            examples=worked_examples(sets, NUM_EXAMPLES, params.seed, solo=True),
            lenient=True,
        )
        entrants["self_consistency"] = Entrant(consistent, samples)
    return entrants


def _trained(params: Params, team: Sequence[AgentPrompt], name: str) -> dict[str, Entrant]:
    solo = partial(solo_leader, leader_sampling=leader_sampling(params), seed=params.seed, name=f"{name}_solo")
    rounds = partial(team_strategy(params, team), name=name)
    return {name: Entrant(rounds, leader_generations(params)), f"{name}_solo": Entrant(solo, 1)}


def num_drafts(params: Params) -> int:
    """The leader's completions in `measuring_strategy`: each answer, with the samples that say how sure it is."""
    return (1 + num_partial_drafts(params) + params.rounds.num_rounds) * (1 + params.consult.samples)


def num_partial_drafts(params: Params) -> int:
    """Answers of a leader that has heard some of its agents, where they are asked one by one."""
    return len(params.team) - 1 if params.consult.one_by_one else 0


def _selective(params: Params, team: Sequence[AgentPrompt], policy: ConsultPolicy | None) -> dict[str, Entrant]:
    """The trained leader that asks by how sure it is; most of what it asks for the other two have asked already."""
    if not params.is_selective:
        return {}
    alone = params.consult.when == "unsure"
    drafts = (params.rounds.num_rounds + alone) * (1 + params.consult.samples)
    proposals = params.rounds.num_rounds * len(team) * params.rounds.agreement_samples
    return {CONSULT: Entrant(consult_strategy(params, team, policy), drafts + proposals)}
