"""What asking only when unsure gives in several runs: as played, or each run's policy replayed on its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mlpo.evaluation.policy import kept_policy
from mlpo.evaluation.strategies import CONSULT
from mlpo.layout import CONSULT_POLICY
from mlpo.method.consult_curve import Outcome, replayed
from mlpo.method.consult_metrics import fixed_points
from mlpo.method.consult_replay import attempts, joined, measured, tokens_of
from mlpo.method.metrics.evaluation import Graded
from mlpo.types import LEADER

SOLO = f"{LEADER}_solo"


class Asked(NamedTuple):
    """What a leader that asks by its policy made, or would have made, of one run's problems, beside always asking."""

    outcomes: Mapping[str, Outcome]
    """By problem."""
    always_tokens: float
    """Of always asking in all rounds, a problem."""


def asked_as_played(graded: Mapping[str, Sequence[Graded]]) -> Asked:
    """What the strategy `leader_consult` of a run gave and cost."""
    outcomes = {}
    for g in graded[CONSULT]:
        asked = any(r.proposals for r in g.transcript.rounds)
        made = g.transcript.completions
        outcomes[g.problem.id] = Outcome(g.correct, asked, len(made), tokens_of(made))
    always = [tokens_of(g.transcript.completions) for g in graded[LEADER]]
    return Asked(outcomes, sum(always) / len(always))


def asked_when_unsure(checkout: Path, graded: Mapping[str, Sequence[Graded]]) -> Asked | None:
    """Replay a run's policy on its leader's answers alone and in all rounds; None without a policy or such answers.

    Raises:
        ConfigError: its file of the policy is none.
    """
    policy = kept_policy(checkout / CONSULT_POLICY)
    if policy is None or not {LEADER, SOLO} <= graded.keys():
        return None
    rounds = {g.problem.id: g for g in graded[LEADER]}
    shown = {g.problem.id: measured(joined(g, rounds[g.problem.id]), policy.signal) for g in graded[SOLO]}
    if all(made.signal is None for trail in shown.values() for made in trail):
        return None
    trails = {problem_id: attempts(trail, policy) for problem_id, trail in shown.items()}
    outcomes = {p: replayed(trail, policy.ask_below, policy.again_below) for p, trail in trails.items()}
    *_, always = fixed_points(list(shown.values())).values()
    return Asked(outcomes, always.tokens)


def told(runs: Sequence[Asked]) -> str:
    """One line: how many of the questions ask, and at what share of the tokens of always asking."""
    outcomes = [outcome for run in runs for outcome in run.outcomes.values()]
    always = sum(run.always_tokens * len(run.outcomes) for run in runs)
    share = sum(outcome.asked for outcome in outcomes) / len(outcomes)
    tokens = sum(outcome.tokens for outcome in outcomes) / always
    return f"{share:.2f} of the questions ask, at {tokens:.2f} of the tokens of always asking"
