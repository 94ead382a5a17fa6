"""What the models are shown: an agent's prompt, the leader's with its team, and the leader's alone.

An agent's text is untrusted. It is quoted so that it can neither close the block it stands in nor be read as the
leader's: its lines are indented and its tags lose their brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlpo.types import Completion, Message, Problem

LEADER_SYSTEM = (
    "Think, then answer in the form <think>...</think><answer>...</answer>. "
    "A team may propose answers; some members are wrong."
)
TAGS = re.compile(r"<(\s*/?\s*(?:think|answer)\b[^>]*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AgentPrompt:
    """What makes an agent the specialist it is."""

    name: str
    system: str
    shots: tuple[Problem, ...] = ()


def agent_messages(
    agent: AgentPrompt, problem: Problem, *, previous: str | None = None, draft: str | None = None
) -> tuple[Message, ...]:
    """The agent's worked examples, the problem and, from round 1 on, its own last proposal and the leader's draft."""
    turns = [Message("system", agent.system)] if agent.system else []
    for shot in agent.shots:
        turns += [Message("user", shot.question), Message("assistant", shot.solution or shot.target)]
    asked = [problem.question]
    if draft is not None:
        asked += [f"You said: {quote(previous or 'I do not know.')}", f"Your leader says: {quote(untagged(draft))}"]
    turns.append(Message("user", "\n".join(asked)))
    return tuple(turns)


def leader_messages(problem: Problem, proposals: Sequence[Completion]) -> tuple[Message, ...]:
    """The problem and what each agent proposes, in the order given."""
    team = "\n".join(f"{p.model}: {quote(p.text) or '(no answer)'}" for p in proposals)
    return (Message("system", LEADER_SYSTEM), Message("user", f"{problem.question}\n{team}"))


def solo_messages(problem: Problem) -> tuple[Message, ...]:
    """The problem alone: the leader without its team."""
    return (Message("system", LEADER_SYSTEM), Message("user", problem.question))


def leader_text(think: str, answer: str) -> str:
    """A leader's completion in the one form that training and evaluation use."""
    return f"<think>{think}</think><answer>{answer}</answer>"


def untagged(text: str) -> str:
    """A leader's text as one line of plain words, its tags left out."""
    return " ".join(TAGS.sub(" ", text).split())


def quote(text: str) -> str:
    """Somebody else's text, harmless: later lines are indented, so none can pass for a line of the block."""
    lines = [line.strip() for line in TAGS.sub(r"(\1)", text).splitlines()]
    return "\n    ".join(line for line in lines if line)
