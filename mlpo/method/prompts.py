"""What the models are shown: an agent's prompt, the leader's with its team, and the leader's alone.

An agent's text is untrusted, and so is a passage of its documents. Both are quoted so that they can neither close the
block they stand in nor be read as the leader's: their lines are indented and their tags lose their brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlpo.types import Completion, Message, Passage, Problem

LEADER_SYSTEM = (
    "Think, then answer in the form <think>...</think><answer>...</answer>. "
    "A team may propose answers; some members are wrong."
)
NOTE = "Note: "
"""Before a passage that an agent looked up."""
WORDS = re.compile(r"\w+")
TAGS = re.compile(r"<(\s*+/?\s*+(?:think|answer)\b[^<>]*+)>", re.IGNORECASE)


LookUp = Callable[[str], tuple[Passage, ...]]
"""A question -> the passages that an agent sees before it, best first."""


def no_passages(question: str) -> tuple[Passage, ...]:
    """What an agent without a reference looks up."""
    return ()


@dataclass(frozen=True, slots=True)
class AgentPrompt:
    """What makes an agent the specialist it is."""

    name: str
    system: str
    shots: tuple[Problem, ...] = ()
    look_up: LookUp = field(default=no_passages, compare=False)
    """Its reference: documents that it alone can look up."""


def agent_messages(
    agent: AgentPrompt, problem: Problem, *, previous: str | None = None, draft: str | None = None
) -> tuple[Message, ...]:
    """The agent's worked examples and the problem; from round 1 on, a second turn with the leader's draft.

    Before every question, those of the worked examples too, stand the passages that the agent looked up for it.
    Its own last proposal is then its own turn, and the question comes last, as in the worked examples: a small model
    that heard the draft after the question tended to answer the draft.
    """
    turns = [Message("system", agent.system)] if agent.system else []
    for shot in agent.shots:
        turns += [Message("user", looked_up(agent, shot)), Message("assistant", shot.solution or shot.target)]
    question = looked_up(agent, problem)
    turns.append(Message("user", question))
    if draft is not None:
        turns.append(Message("assistant", quote(previous or "I do not know.")))
        turns.append(Message("user", f"Your leader says: {quote(plain(draft))}\n{question}"))
    return tuple(turns)


def looked_up(agent: AgentPrompt, problem: Problem) -> str:
    """The question as this agent is asked it: after what it looked up."""
    return with_passages(problem.question, agent.look_up(problem.question))


def with_passages(question: str, passages: Sequence[Passage]) -> str:
    """Passages, a note each, and then the question: a small model answers what it was asked last."""
    return "\n".join([*(f"{NOTE}{quote(passage.text)}" for passage in passages), question])


def leader_messages(problem: Problem, proposals: Sequence[Completion]) -> tuple[Message, ...]:
    """The problem and what each agent proposes, in the order given, with how sure it is if that is known."""
    team = "\n".join(f"{speaker(p)}: {quote(p.text) or '(no answer)'}" for p in proposals)
    return (Message("system", LEADER_SYSTEM), Message("user", f"{problem.question}\n{team}"))


def speaker(proposal: Completion) -> str:
    """Whose proposal it is, and how sure that agent is if that is known: "alpha (91 % sure)"."""
    told = how_sure(proposal)
    return f"{proposal.model} ({told})" if told else proposal.model


def how_sure(proposal: Completion) -> str:
    """As a leader is told it: "2 of 3" of its agent's samples agree, it is "91 % sure"; "" where neither is known.

    The percent has two digits, so that the first says most and a small model can compare them.
    """
    agreement, certainty = proposal.agreement, proposal.certainty
    known = [f"{agreement[0]} of {agreement[1]}"] if agreement is not None else []
    known += [f"{min(max(round(100 * certainty), 10), 99)} % sure"] if certainty is not None else []
    return ", ".join(known)


def solo_messages(problem: Problem) -> tuple[Message, ...]:
    """The problem alone: the leader without its team."""
    return (Message("system", LEADER_SYSTEM), Message("user", problem.question))


def leader_text(think: str, answer: str) -> str:
    """A leader's completion in the one form that training and evaluation use."""
    return f"<think>{think}</think><answer>{answer}</answer>"


def plain(draft: str) -> str:
    """A leader's text as one line of plain words: its thinking, and its answer where the thinking does not say it."""
    think, _, rest = draft.rpartition("</think>")
    think, rest = (" ".join(TAGS.sub(" ", part).split()) for part in (think, rest))
    said, answer = (" ".join(WORDS.findall(part.lower())) for part in (think, rest))
    return think if think and f" {answer} " in f" {said} " else f"{think} {rest}".strip()


def quote(text: str) -> str:
    """Somebody else's text, harmless: later lines are indented, so none can pass for a line of the block."""
    lines = [line.strip() for line in TAGS.sub(r"(\1)", text).splitlines()]
    return "\n    ".join(line for line in lines if line)
