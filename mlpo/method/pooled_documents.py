"""A yardstick: the leader alone with everybody's documents, as if nothing were private.

    p_k = the best passages of agent_k's documents for x          k = 1..K
    o   ~ leader(p_1..p_K, x)

One generation, and no proposal. What a team of private documents loses against it is the price of privacy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlpo.method.answers import leader_answer
from mlpo.method.prompts import AgentPrompt, solo_messages, with_passages
from mlpo.method.strategies.leader_rounds import leader_request
from mlpo.types import Message, Passage, Problem, Round, Sampling, StrategyRun, Transcript


def pooled_documents(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    leader_sampling: Sampling,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = "pooled_documents",
) -> StrategyRun:
    """The leader answers after the passages that any agent would look up: one generation.

    Args:
        examples: worked examples of the leader alone; they are shown with their passages too (`with_pooled`).
    """
    passages = pooled_passages(problem.question, team)
    messages = with_pooled(solo_messages(problem), team)
    request = leader_request(problem, messages, leader_sampling, seed, examples=with_pooled(examples, team))
    drafts = yield [replace(request, passages=passages)]
    answer, was_lenient = leader_answer(drafts[0], problem, lenient=lenient)
    return Transcript(problem.id, name, (Round((), drafts[0], answer),), answer, lenient=was_lenient)


def pooled_passages(question: str, team: Sequence[AgentPrompt]) -> tuple[Passage, ...]:
    """What the agents look up for a question, in the team's order; a text that several hold stands once."""
    found: dict[str, Passage] = {}
    for agent in team:
        for passage in agent.look_up(question):
            found.setdefault(passage.text, passage)
    return tuple(found.values())


def with_pooled(messages: Sequence[Message], team: Sequence[AgentPrompt]) -> tuple[Message, ...]:
    """The same turns, each question after its pooled passages."""
    return tuple(
        replace(m, content=with_passages(m.content, pooled_passages(m.content, team))) if m.role == "user" else m
        for m in messages
    )
