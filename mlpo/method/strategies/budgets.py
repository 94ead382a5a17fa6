"""Votes and self-consistency with as many samples as the leader's budget pays for, in generations or in tokens.

    equal generations:  n = (K + 1) * T, what the leader with its team asks for in T rounds
    equal tokens:       the nearest n with n * c = B, at least 1: B what the leader with its team spent on this very
                        problem, c the mean cost of the samples; one is drawn, then what is left is spent at c

Tokens are prompt and completion together, a sample's prompt counted each time, as in metrics.json. A vote's samples go
round the team, so agents differ by at most one; its first ones are the team's own proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from mlpo.method.prompts import AgentPrompt, solo_messages
from mlpo.method.strategies.baselines import most_consistent, voted
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import in_order
from mlpo.types import Completion, Message, Problem, Request, Sampling, StrategyRun, Transcript

Budget = int | Mapping[str, int]
"""A number of samples, or tokens by problem id."""


def vote_within(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    budget: Budget,
    seed: int,
    name: str,
) -> StrategyRun:
    """The majority vote of a team that may answer several times; a tie goes to the first in `order_of`.

    Raises:
        ValueError: no agents, two of one name, or fewer than one sample.
    """
    ordered = in_order(problem, team, seed)

    def request(i: int) -> Request:
        agent = ordered[i % len(ordered)]
        return agent_request(problem, agent, sampling[agent.name], seed, sample=i // len(ordered))

    samples = yield from _samples(request, budget, problem)
    held = voted(samples, problem)
    return Transcript(problem.id, name, (held,), held.answer)


def self_consistency_within(
    problem: Problem,
    *,
    leader_sampling: Sampling,
    budget: Budget,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str,
) -> StrategyRun:
    """The leader's own most frequent answer (see `mlpo.method.strategies.baselines.self_consistency`).

    Raises:
        ValueError: fewer than one sample.
    """
    messages = solo_messages(problem)

    def request(i: int) -> Request:
        return leader_request(problem, messages, leader_sampling, seed, sample=i, examples=examples)

    samples = yield from _samples(request, budget, problem)
    return most_consistent(samples, problem, seed=seed, lenient=lenient, name=name)


def _samples(
    request: Callable[[int], Request], budget: Budget, problem: Problem
) -> Generator[list[Request], list[Completion], list[Completion]]:
    """All at once where their number is known; else one, then as many as the rest pays for at the mean price so far."""
    if isinstance(budget, int):
        if budget < 1:
            raise ValueError(f"needs a budget of at least 1 sample, got {budget}")
        return (yield [request(i) for i in range(budget)])
    samples, spent, more = list[Completion](), 0, 1
    while more >= 1:
        batch = yield [request(len(samples) + i) for i in range(more)]
        cost = sum(c.tokens for c in batch)
        samples, spent = [*samples, *batch], spent + cost
        left = budget[problem.id] - spent
        more = round(left * len(samples) / spent) if cost else 0  # failed generations cost nothing: no end in sight
    return samples
