"""Debate: agents answer, read each other's last answers and answer again; the last answers are voted on.

    round 0:  s_k ~ agent_k(x)                                    k = 1..K
    round t:  s_k ~ agent_k(x, its own last s_k, the others' last s_j)
    answer =  vote(s_1..s_K of the last round)

K * R generations. Du et al., "Improving Factuality and Reasoning in Language Models through Multiagent Debate"
(arXiv:2305.14325), which uses 3 agents and 2 rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpo.method.prompts import AgentPrompt
from mlpo.method.strategies.baselines import voted
from mlpo.method.strategies.leader_rounds import agent_request
from mlpo.method.strategies.messages import answered_then_told, in_order, named, turn_request
from mlpo.types import Problem, Request, Sampling, StrategyRun, Transcript


def debate(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    num_rounds: int,
    seed: int,
    name: str = "debate",
) -> StrategyRun:
    """Everybody reads everybody: no leader, a vote at the end, a tie goes to the agent first in `order_of`.

    Raises:
        ValueError: fewer than two agents, two of one name, or no rounds.
    """
    if num_rounds < 1:
        raise ValueError(f"{name}: needs at least 1 round, got {num_rounds}")
    ordered = in_order(problem, team, seed, at_least=2)
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    rounds = [voted(proposals, problem)]
    for t in range(1, num_rounds):
        last = rounds[-1].proposals
        requests: list[Request] = []
        for agent in ordered:
            [own] = [c.text for c in last if c.model == agent.name]
            others = f"Others say:\n{named(c for c in last if c.model != agent.name)}"
            messages = answered_then_told(problem, agent, own, others)
            requests.append(turn_request(problem, agent, messages, sampling[agent.name], seed, round_index=t))
        proposals = yield requests
        rounds.append(voted(proposals, problem))
    return Transcript(problem.id, name, tuple(rounds), rounds[-1].answer)
