"""Mixture-of-Agents: layers of agents that read the whole layer below, and an aggregator that is not trained.

    layer 0:  s_k ~ agent_k(x)                                    k = 1..K
    layer l:  s_k ~ agent_k(x, s_1..s_K of layer l - 1)
    answer =  leader(x, s_1..s_K of the last layer)               the untrained leader aggregates

K * L + 1 generations. Wang et al., "Mixture-of-Agents Enhances Large Language Model Capabilities" (arXiv:2406.04692).
With one layer it is the untrained leader with its team in one round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpo.method.answers import leader_answer
from mlpo.method.prompts import AgentPrompt, leader_messages
from mlpo.method.strategies.baselines import voted
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import in_order, named, told, turn_request
from mlpo.types import Message, Problem, Round, Sampling, StrategyRun, Transcript


def mixture_of_agents(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    num_layers: int,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = "mixture_of_agents",
) -> StrategyRun:
    """`num_layers` layers of proposals and one aggregation; a layer's answer before the last is its vote.

    Raises:
        ValueError: no agents, two of one name, or no layers.
    """
    if num_layers < 1:
        raise ValueError(f"{name}: needs at least 1 layer, got {num_layers}")
    ordered = in_order(problem, team, seed)
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    rounds: list[Round] = []
    for layer in range(1, num_layers):
        rounds.append(voted(proposals, problem))
        said = f"Others say:\n{named(proposals)}"
        proposals = yield [
            turn_request(problem, a, told(problem, a, said), sampling[a.name], seed, round_index=layer) for a in ordered
        ]
    messages = leader_messages(problem, proposals)
    drafts = yield [
        leader_request(problem, messages, leader_sampling, seed, round_index=num_layers - 1, examples=examples)
    ]
    reading = leader_answer(drafts[0], problem, lenient=lenient)
    rounds.append(Round(tuple(proposals), drafts[0], reading.answer))
    return Transcript(problem.id, name, tuple(rounds), reading.answer, lenient=reading.lenient)
