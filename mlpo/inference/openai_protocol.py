"""The wire: a request as chat-completions JSON, a reply checked field by field, and what each status code means."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import httpx
from pydantic import BaseModel, BeforeValidator, Field, NonNegativeInt, ValidationError

from mlpo.config import ConfigError
from mlpo.inference.load_balancer import TroubleError
from mlpo.models.chat_template import defused
from mlpo.types import ENTROPY_PLACES, FinishReason, Request

MAY_PASS = frozenset({408, 409, 425, 429})
"""Client errors that are the moment's, not the request's; and every 5xx."""
MAX_REASON = 300
"""Characters of a server's words in an error message."""
TOP_LOGPROBS = 20
"""Most likely tokens told at each place: the most that vLLM and OpenAI tell."""
SECRET_LENGTH = 16
"""Characters from which a key stands in no answer by chance; placeholders such as "none" are shorter."""


class RefusedError(Exception):
    """The server will never answer this request."""


class ForbiddenError(RefusedError):
    """The same, by 403: some servers say so of a key, and some of a prompt that they find unfit."""


def _zero(value: object) -> object:
    return 0 if value is None else value


def _joined(content: object) -> object:
    """The text of a content that comes in parts, without those that are no text."""
    if not isinstance(content, list):
        return content
    return "".join(part if isinstance(part, str) else _Part.model_validate(part).text or "" for part in content)


class _Part(BaseModel):
    text: str | None = None


class _Message(BaseModel):
    content: Annotated[str | None, BeforeValidator(_joined)] = None


class _Likely(BaseModel):
    logprob: float


class _Token(_Likely):
    top_logprobs: list[_Likely] | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    message: _Message
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    """Null where a server does not say."""


_Count = Annotated[NonNegativeInt, BeforeValidator(_zero)]


class _Usage(BaseModel):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class Reply(BaseModel):
    """The fields of a chat completion that count here."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Annotated[_Usage, BeforeValidator(lambda value: _Usage() if value is None else value)] = _Usage()
    """Zeros where a server does not count."""

    def finish_reason(self, place: int) -> FinishReason:
        """Why the completion at `place` ended; filtered contents, tool calls and the like are errors."""
        reason = self.choices[place].finish_reason
        return "stop" if reason in ("stop", None) else "length" if reason == "length" else "error"

    def entropy(self, place: int) -> float | None:
        """Mean entropy over the completion's tokens, nats; None where the server told no log-probabilities.

        H of a token is that of its most likely alternatives and of one more outcome with the rest of the mass: a lower
        bound, off by the entropy inside that rest.
        """
        told = self.choices[place].logprobs
        tokens = [token.top_logprobs or [token] for token in (told and told.content) or ()]
        if not tokens:
            return None
        return round(sum(map(_entropy, tokens)) / len(tokens), ENTROPY_PLACES)

    def completion_tokens(self, place: int) -> int:
        """The completion's share of the tokens, which servers report in one sum: equal, odd ones to the first."""
        share, rest = divmod(self.usage.completion_tokens, len(self.choices))
        return share + (rest if place == 0 else 0)


def _entropy(outcomes: Sequence[_Likely]) -> float:
    probs = [math.exp(outcome.logprob) for outcome in outcomes]
    return -sum(p * math.log(p) for p in (*probs, 1 - sum(probs)) if p > 0)


def body_of(request: Request, model: str, num_samples: int, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of POST /chat/completions. Fields that `extra` sets to null are left out.

    Control tokens of the common families written inside a message are broken: a proposal can not open or close a turn.
    """
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": defused(m.content)} for m in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed,
    }
    body |= {"stop": list(sampling.stop)} if sampling.stop else {}
    body |= {"n": num_samples} if num_samples > 1 else {}
    body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS} if sampling.entropy else {}
    return {name: value for name, value in (body | dict(extra)).items() if value is not None}


def read_reply(response: httpx.Response, model: str, secret: str | None) -> Reply:
    """The reply, checked.

    Raises:
        TroubleError: it may be another one next time: an overloaded or broken server, a reply that is none.
        RefusedError: the request is at fault.
        ForbiddenError: the request is, or the key.
        ConfigError: key, credit, URL or model name are.
    """
    # a server may quote the key it was sent: no error message may carry it on, no completion either if it is one
    text = response.text.replace(secret, "***") if secret else response.text
    answer = text if len(secret or "") >= SECRET_LENGTH else response.text
    status = response.status_code
    reason = f"{status}: {' '.join(text.split())[:MAX_REASON]}"
    url = response.request.url
    if status in MAY_PASS or status >= 500:
        raise TroubleError(reason, retry_after=_retry_after(response), busy=status == 429, alive=status == 500)
    if status == 401:
        raise ConfigError(f"{url} refuses the key; name the variable that holds it in server.api_key_env: {reason}")
    if status == 404:
        raise ConfigError(f"{url}: no chat completions of model {model!r} here; mend server.urls or model: {reason}")
    if status == 402:
        raise ConfigError(f"{url} wants to be paid; fill up the account and run again: {reason}")
    if status == 403:
        raise ForbiddenError(f"it forbids the prompt, or the key in server.api_key_env: {reason}")
    if status != 200:
        raise RefusedError(reason)
    try:
        return Reply.model_validate_json(answer)
    except ValidationError as error:
        first = error.errors()[0]
        raise TroubleError(f"not a chat completion ({first['msg']}): {reason}", alive=True) from None


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait, from either form of the header (RFC 9110, section 10.2.3); 0 without one."""
    value = response.headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    when = email.utils.parsedate_tz(value)
    return max(email.utils.mktime_tz(when) - time.time(), 0.0) if when else 0.0
