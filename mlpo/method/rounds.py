"""The leader's rounds: agents propose, the leader drafts, agents see their own last proposal and the draft, and again.

    round 0:  s_k ~ agent_k(x)                                    k = 1..K, independent
              o   ~ leader(x, s_1..s_K)
    round t:  s_k ~ agent_k(x, its own last s_k, the leader's last o)
              o   ~ leader(x, s_1..s_K)
    answer =  the <answer> of the last round

Agents never see each other, and the leader never sees its former drafts (arXiv:2507.08960).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from mlpo.method.answers import Reading, agent_answer, leader_answer
from mlpo.method.prompts import AgentPrompt, agent_messages, leader_messages
from mlpo.method.seeds import derive_seed
from mlpo.types import LEADER, Completion, Message, Problem, Request, Round, Sampling, StrategyRun, Transcript

Share = Literal["reasoning", "answer"]
"""What travels between leader and agents: whole texts, or parsed answers only."""


def order_of(problem_id: str, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """The agents in the order in which the leader is shown them: shuffled per problem, against position bias."""
    shuffled = list(names)
    random.Random(derive_seed(seed, "order", problem_id)).shuffle(shuffled)
    return tuple(shuffled)


def agent_request(
    problem: Problem,
    agent: AgentPrompt,
    sampling: Sampling,
    seed: int,
    *,
    round_index: int = 0,
    sample: int = 0,
    previous: str | None = None,
    draft: str | None = None,
) -> Request:
    """What an agent is asked. In round 0 it is the same for every strategy, so a cache pays for it once."""
    messages = agent_messages(agent, problem, previous=previous, draft=draft)
    request_seed = derive_seed(seed, agent.name, problem.id, round_index, sample)
    passages = agent.look_up(problem.question)
    return Request(problem.id, agent.name, messages, sampling, request_seed, sample, passages)


def leader_request(
    problem: Problem,
    messages: tuple[Message, ...],
    sampling: Sampling,
    seed: int,
    *,
    round_index: int = 0,
    sample: int = 0,
    examples: tuple[Message, ...] = (),
) -> Request:
    """What the leader is asked; `examples` are worked examples shown after the system message."""
    num_system = sum(message.role == "system" for message in messages[:1])
    whole = (*messages[:num_system], *examples, *messages[num_system:])
    request_seed = derive_seed(seed, LEADER, problem.id, round_index, sample)
    return Request(problem.id, LEADER, whole, sampling, request_seed, sample)


def leader_rounds(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    num_rounds: int,
    share: Share = "reasoning",
    early_stop: bool = False,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = LEADER,
) -> StrategyRun:
    """T rounds of K proposals and a draft: at most (K + 1) * T generations.

    With `early_stop` it ends after a round in which the leader repeats its last answer and every agent gives it too.

    Raises:
        ValueError: no agents, two of one name, or no rounds.
    """
    agents = {agent.name: agent for agent in team}
    if not agents or len(agents) != len(team) or num_rounds < 1:
        got = f"agents {[agent.name for agent in team]} and {num_rounds} rounds"
        raise ValueError(f"{name}: needs agents of different names and at least 1 round, got {got}")
    ordered = [agents[agent_name] for agent_name in order_of(problem.id, tuple(agents), seed)]
    previous: dict[str, str] = {}
    draft: str | None = None
    rounds: list[Round] = []
    reading = Reading(None)
    for t in range(num_rounds):
        proposals = yield [
            agent_request(problem, a, sampling[a.name], seed, round_index=t, previous=previous.get(a.name), draft=draft)
            for a in ordered
        ]
        seen = shown(problem, proposals, share)
        previous |= {c.model: c.text for c in seen if c.finish_reason != "error"}
        messages = leader_messages(problem, seen)
        drafts = yield [leader_request(problem, messages, leader_sampling, seed, round_index=t, examples=examples)]
        reading = leader_answer(drafts[0], problem, lenient=lenient)
        draft = shared(drafts[0], reading.answer, share).text or None
        rounds.append(Round(tuple(proposals), drafts[0], reading.answer))
        if early_stop and _settled(rounds, problem):
            break
    return Transcript(problem.id, name, tuple(rounds), reading.answer, lenient=reading.lenient)


def shared(completion: Completion, answer: str | None, share: Share) -> Completion:
    """The completion as others see it."""
    return completion if share == "reasoning" else replace(completion, text=answer or "")


def shown(problem: Problem, proposals: Sequence[Completion], share: Share) -> tuple[Completion, ...]:
    """Agents' completions as the leader sees them."""
    return tuple(shared(c, agent_answer(c, problem), share) for c in proposals)


def _settled(rounds: Sequence[Round], problem: Problem) -> bool:
    """Did the leader give the same answer twice in a row, and did every agent of the last round give it too?"""
    if len(rounds) < 2 or rounds[-1].answer is None or rounds[-1].answer != rounds[-2].answer:
        return False
    return all(agent_answer(c, problem) == rounds[-1].answer for c in rounds[-1].proposals)
