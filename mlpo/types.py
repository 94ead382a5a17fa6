"""The nouns: what a problem, a request, a completion and a transcript are. Values only."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
AnswerKind = Literal["integer", "number", "expression", "choice", "yes_no", "word", "list", "brackets"]
FinishReason = Literal["stop", "length", "error"]

LEADER = "leader"
"""The model name under which every strategy asks for the leader; any other name is an agent of the team."""
ENTROPY_PLACES = 4
"""Decimal places of `Completion.entropy`: further ones are a model's rounding errors."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with a checkable answer.

    `answer_kind` is declared by the benchmark, so that a parser never has to look at the target.
    """

    id: str
    """Content hash of benchmark, question and target: equal content means equal id."""
    benchmark: str
    family: str
    """Subject, sub-task or generator inside the benchmark."""
    question: str
    target: str
    answer_kind: AnswerKind
    aliases: tuple[str, ...] = ()
    """Other spellings that are also right."""
    choices: tuple[str, ...] = ()
    """The options of a multiple-choice question, in order; empty for every other kind."""
    solution: str = ""
    """A worked answer that ends in the target, shown where the problem serves as a worked example."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw one completion. `temperature` 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these strings."""
    entropy: bool = False
    """Say how unsure the model was: `Completion.entropy`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an agent's documents, as it was looked up for a question."""

    text: str
    source: str = ""
    """Where it stands, such as "physics.md, passage 3"."""


@dataclass(frozen=True, slots=True)
class Request:
    """One completion wanted from one model."""

    problem_id: str
    model: str
    """Agent name, or `LEADER`."""
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    sample: int = 0
    """Index among otherwise equal requests: sample 0..M-1 of one prompt."""
    passages: tuple[Passage, ...] = ()
    """What was looked up for the question; the messages hold its words, so it is no part of a request's key."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered. A failure is data: finish_reason "error", empty text and the reason in `error`."""

    problem_id: str
    model: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    sample: int = 0
    error: str = ""
    passages: tuple[Passage, ...] = ()
    """What the model was shown beside the question."""
    agreement: tuple[int, int] | None = None
    """How many of how many samples of the model give this answer; None where it was asked once."""
    entropy: float | None = None
    """Mean entropy of the token distributions along the text, at temperature 1, nats; None where not known."""

    @property
    def tokens(self) -> int:
        """Of prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def certainty(self) -> float | None:
        """How sure the model was, from 0 to 1: exp(-entropy); None where not known."""
        return None if self.entropy is None else math.exp(-self.entropy)


@dataclass(frozen=True, slots=True)
class Round:
    """One exchange: what each agent proposed, in the order shown to the leader, and what the leader drafted."""

    proposals: tuple[Completion, ...] = ()
    draft: Completion | None = None
    answer: str | None = None
    """The answer after this round, as parsed; None if there is none."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything one strategy did for one problem."""

    problem_id: str
    strategy: str
    rounds: tuple[Round, ...]
    answer: str | None
    """The strategy's answer, or None if nothing could be parsed."""
    lenient: bool = False
    """True if the answer was read from a last line because the tags were missing."""
    extra: tuple[Completion, ...] = ()
    """Completions that belong to no round, such as self-consistency's samples."""

    @property
    def completions(self) -> tuple[Completion, ...]:
        """Every completion that was paid for, in the order it was asked for."""
        in_rounds = [c for r in self.rounds for c in (*r.proposals, *((r.draft,) if r.draft else ()))]
        return (*in_rounds, *self.extra)

    @property
    def answering(self) -> Completion:
        """Whose answer was given: the latest draft that has it, else the last draft, else the last completion."""
        drafts = [(r.answer, r.draft) for r in self.rounds if r.draft is not None]
        fitting = [draft for answer, draft in drafts if answer == self.answer] or [draft for _, draft in drafts]
        return fitting[-1] if fitting else self.completions[-1]


StrategyRun = Generator[list[Request], list[Completion], Transcript]
"""Yields the requests it wants answered now, is sent their completions in the same order, returns the transcript."""

Strategy = Callable[[Problem], StrategyRun]
"""A way to answer one problem. It does no I/O, so a test drives it with `next` and `send`."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One verified SFT example: a prompt and the completion to imitate."""

    problem_id: str
    family: str
    kind: str
    """One of mlpo/method/demonstrations.py: backtrack, confirm, overrule_majority, recover_alone, trust, ..."""
    messages: tuple[Message, ...]
    completion: str
    sources: tuple[str, ...] = field(default=())
    """The models whose completions it was built from."""
