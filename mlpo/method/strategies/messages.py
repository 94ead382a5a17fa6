"""What an agent hears from others than a leader: their words quoted, the question again at the end.

The forms are those of `mlpo.method.prompts`: what somebody else wrote is untrusted and quoted, and a small model
answers what it was asked last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlpo.method.prompts import AgentPrompt, agent_messages, looked_up, quote
from mlpo.method.strategies.leader_rounds import agent_request, order_of
from mlpo.types import Completion, Message, Problem, Request, Sampling


def in_order(problem: Problem, team: Sequence[AgentPrompt], seed: int, *, at_least: int = 1) -> list[AgentPrompt]:
    """The team in the order that the problem and the seed give it (see `order_of`).

    Raises:
        ValueError: fewer than `at_least` agents, or two of one name.
    """
    agents = {agent.name: agent for agent in team}
    if len(agents) < at_least or len(agents) != len(team):
        raise ValueError(
            f"needs at least {at_least} agents of different names, got {[agent.name for agent in team]}; "
            "change `team` or leave the strategy out"
        )
    return [agents[name] for name in order_of(problem.id, tuple(agents), seed)]


def block(lines: Iterable[tuple[str, str]]) -> str:
    """(who, what) -> one quoted line each, as in the leader's team block."""
    return "\n".join(f"{who}: {quote(text) or '(no answer)'}" for who, text in lines)


def named(completions: Iterable[Completion]) -> str:
    """Completions as a block under their authors' names."""
    return block((c.model, c.text) for c in completions)


def told(problem: Problem, agent: AgentPrompt, said: str) -> tuple[Message, ...]:
    """The agent's worked examples, then one turn: what others said, and the question."""
    *before, question = agent_messages(agent, problem)
    return (*before, Message("user", f"{said}\n{question.content}"))


def answered_then_told(problem: Problem, agent: AgentPrompt, own: str, said: str) -> tuple[Message, ...]:
    """The question, the agent's own last text as its own turn, then what others said and the question again."""
    own_turn = Message("assistant", quote(own) or "I do not know.")
    return (*agent_messages(agent, problem), own_turn, Message("user", f"{said}\n{looked_up(agent, problem)}"))


def turn_request(
    problem: Problem,
    agent: AgentPrompt,
    messages: tuple[Message, ...],
    sampling: Sampling,
    seed: int,
    *,
    round_index: int,
    sample: int = 0,
) -> Request:
    """An agent's request with messages other than its leader's; the seed is the round's."""
    request = agent_request(problem, agent, sampling, seed, round_index=round_index, sample=sample)
    return replace(request, messages=messages)
