"""What happens to a question while it is played, as values; the page and a streamed reply are made of them."""

from __future__ import annotations

from dataclasses import dataclass

from mlpo.types import Completion, Transcript


@dataclass(frozen=True, slots=True)
class Proposals:
    """Every agent has answered."""

    round: int
    completions: tuple[Completion, ...]
    answers: tuple[str | None, ...]
    """What was read in each."""


@dataclass(frozen=True, slots=True)
class Words:
    """The leader's completion has grown."""

    round: int
    text: str
    """All of it so far."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The leader has answered."""

    round: int
    completion: Completion
    answer: str | None
    """What was read in it."""


@dataclass(frozen=True, slots=True)
class Done:
    """The question is answered."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Refused:
    """The question gets no answer; in OpenAI's words of an error."""

    status: int
    """Of HTTP."""
    code: str
    message: str
    """What, where and what to do."""
    param: str | None = None
    """The field of the request that is wrong."""

    @property
    def body(self) -> dict[str, object]:
        """OpenAI's JSON of an error."""
        kind = "invalid_request_error" if self.status < 429 else "rate_limit_error"
        kind = "server_error" if self.status >= 500 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


Event = Proposals | Words | Draft | Done | Refused
