"""A chat completion as OpenAI's clients ask for it -> the question that leader and team are asked.

The models were trained on single questions, so the last user message is the question. Other messages are not shown to
them; the reply says how many were passed over. What would change an answer and is not done here is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlpo.config import ServeConfig
from mlpo.evaluation.question import problem_of
from mlpo.serving.events import Refused
from mlpo.suggestion import suggestion
from mlpo.types import LEADER, AnswerKind, Problem

SOLO = "leader-solo"
MODELS = (LEADER, SOLO)
"""The names a client may ask for: the leader with its team, and alone."""
NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,), "tools": ([],), "functions": ([],), "tool_choice": ("none", "auto"), "stop": ([], ""),
    "logprobs": (False,), "top_logprobs": (0,), "logit_bias": ({},), "frequency_penalty": (0,),
    "presence_penalty": (0,), "response_format": ({"type": "text"},), "modalities": (["text"],),
    "audio": (), "prediction": (), "reasoning_effort": (), "web_search_options": (), "best_of": (1,),
}  # fmt: skip
"""Fields that are not supported, with the values, beside null, that ask for nothing."""
PASSED_OVER = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}
)
"""Fields that change no answer."""


class BadRequestError(ValueError):
    """A request that can't be answered, with the reply that says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


class _Part(BaseModel):
    type: Literal["text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        content = self.content or ""
        return content if isinstance(content, str) else "\n".join(part.text for part in content)


class _StreamOptions(BaseModel):
    include_usage: bool | None = False
    include_obfuscation: bool | None = False


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    num_rounds: Annotated[int, Field(ge=1)] | None = None
    answer_kind: AnswerKind | None = None
    transcript: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One question, and how it is to be answered. What is None is as the leader was registered with."""

    problem: Problem
    model: str
    num_rounds: int | None = None
    """T."""
    temperature: float | None = None
    """The leader's; it was evaluated at 0."""
    top_p: float | None = None
    max_tokens: int | None = None
    """Of one leader completion; never more than it was trained with."""
    seed: int | None = None
    """Equal questions with equal seeds get equal answers."""
    stream: bool = False
    include_usage: bool = False
    transcript: bool = False
    """Whether proposals and drafts are handed over too."""
    ignored_messages: int = 0
    """Messages that were not shown to the models."""


def read_question(raw: object, config: ServeConfig) -> Question:
    """Read a request's JSON.

    Raises:
        BadRequestError: a field is missing, wrong, unknown or not supported, or the model is unknown.
    """
    if not isinstance(raw, dict):
        raise _bad("the body must be a JSON object with model and messages", None)
    _refuse_half_characters(raw)
    body = _checked(_without_neutral(raw))
    if body.model not in MODELS:
        raise BadRequestError(unknown_model(body.model))
    if body.num_rounds is not None and body.num_rounds > config.max_rounds:
        raise _bad(f"num_rounds: {body.num_rounds} is over this server's {config.max_rounds}; lower it", "num_rounds")
    last = body.messages[-1]
    if last.role != "user":
        raise _bad(f"messages: the last one must be the user's question, and is {last.role}'s", "messages")
    if not last.text.strip():
        raise _bad("messages: the question is empty; ask something", "messages")
    problem = problem_of(last.text)
    return Question(
        problem=replace(problem, answer_kind=body.answer_kind) if body.answer_kind else problem,
        model=body.model,
        num_rounds=body.num_rounds,
        temperature=body.temperature,
        top_p=body.top_p,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        seed=body.seed,
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        transcript=body.transcript,
        ignored_messages=len(body.messages) - 1,
    )


def unknown_model(name: str) -> Refused:
    """There is no model of this name."""
    told = f"model {name!r} does not exist; there are {' and '.join(MODELS)}"
    return Refused(404, "model_not_found", told, "model")


def _refuse_half_characters(raw: dict[str, Any]) -> None:
    """JSON can say half a character ("\\ud800"), as JavaScript leaves it of an emoji it cut; no text holds one."""
    for name, value in raw.items():
        field = name.encode(errors="backslashreplace").decode()
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError:
            told = f"{field}: half a character (a lone surrogate) is in its text; cut text between characters"
            raise _bad(told, field) from None
        except RecursionError:
            raise _bad(f"{field}: too many brackets inside each other; ask with fewer", field) from None


def _without_neutral(raw: dict[str, Any]) -> dict[str, Any]:
    """The body without fields that ask for nothing."""
    kept: dict[str, Any] = {}
    for name, value in raw.items():
        if name in PASSED_OVER or (name in NEUTRAL and (value is None or value in NEUTRAL[name])):
            continue
        if name in NEUTRAL:
            raise _bad(f"{name}: not supported by a leader with a team; leave it out", name)
        kept[name] = value
    return kept


def _checked(body: dict[str, Any]) -> _Body:
    try:
        return _Body.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        raise _bad(f"{where} is unknown; {suggestion(where, _Body.model_fields)}", where)
    if first["type"] == "missing":
        raise _bad(f"{where} is missing; add it", where)
    got = f" (got {first['input']!r})" if isinstance(first["input"], int | float | str) else ""
    raise _bad(f"{where}: {first['msg']}{got}"[:500], where)


def _bad(message: str, param: str | None) -> BadRequestError:
    return BadRequestError(Refused(400, "invalid_request", message, param))
