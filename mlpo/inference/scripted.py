"""A backend that answers by a function: for tests, examples and rehearsals of a pipeline without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from mlpo.inference.backend import Backend, OnAnswer, OnText
from mlpo.types import Completion, Message, Request


class ScriptedModels:
    """Models by script: every model answers with `reply`, whatever its name. Counts what was opened and asked."""

    def __init__(self, reply: Callable[[Request], str | Completion], *, on_text: OnText | None = None) -> None:
        self.backend = ScriptedBackend(reply, on_text=on_text)
        self.opened: list[str] = []

    def identity(self, model: str, revision: str | None) -> str:
        """A name is an identity."""
        return f"scripted:{model}@{revision}"

    def quantized(self, how: str) -> ScriptedModels:
        """A script has no weights."""
        return self

    def open(self, model: str, revision: str | None) -> Backend:
        """One backend for all of them."""
        self.opened.append(self.identity(model, revision))
        return self.backend

    def token_counter(self, model: str, revision: str | None) -> Callable[[Sequence[Message], str], tuple[int, int]]:
        """A word is a token."""
        return lambda messages, completion: (sum(len(m.content.split()) for m in messages), len(completion.split()))


class ScriptedBackend:
    """Answers with `reply(request)`: a text, or a whole completion where a failure is to be played.

    A word counts as a token, and a reply longer than the sampling's `max_tokens` words is cut, as a model's would be.
    """

    def __init__(self, reply: Callable[[Request], str | Completion], *, on_text: OnText | None = None) -> None:
        self._reply = reply
        self._on_text = on_text
        self.num_calls = 0
        self.num_generations = 0

    def check(self, requests: Iterable[Request]) -> None:
        """Every request can be answered."""

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Answer in order and all at once; counts the call and its generations."""
        self.num_calls += 1
        self.num_generations += len(requests)
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        """Holds nothing."""

    def _answer(self, request: Request) -> Completion:
        reply = self._reply(request)
        if isinstance(reply, Completion):
            return reply
        words = reply.split(" ")
        limit = request.sampling.max_tokens
        if self._on_text:
            for end in range(1, min(len(words), limit) + 1):
                self._on_text(request, partial(" ".join, words[:end]))
        return Completion(
            problem_id=request.problem_id,
            model=request.model,
            text=" ".join(words[:limit]),
            finish_reason="length" if len(words) > limit else "stop",
            prompt_tokens=sum(len(message.content.split()) for message in request.messages),
            completion_tokens=min(len(words), limit),
            sample=request.sample,
            passages=request.passages,
        )
