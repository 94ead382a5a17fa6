"""What happened to a question -> the JSON that OpenAI's clients expect, whole or chunk by chunk.

`content` is what the leader answered, `reasoning_content` what it thought, both of its last draft. Everything that
OpenAI's form has no place for is in the field `mlpo`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlpo.method.prompts import how_sure
from mlpo.serving.events import Done, Draft, Event, Proposals, Refused, Words
from mlpo.serving.reasoning import Spoken, spoken
from mlpo.serving.request import Question
from mlpo.types import LEADER, Completion, Transcript

Json = dict[str, Any]


@dataclass(slots=True)
class Reply:
    """One reply; of a stream it remembers what was said already."""

    question: Question
    version: int
    """Of the leader."""
    num_rounds: int
    """T."""
    trace_id: str
    created: int
    """Seconds since 1970."""
    decides_late: bool = False
    """Only at the end it is known which draft is the answer, so none is streamed before."""
    alone_first: bool = False
    """The first draft is the leader's alone, before any round."""
    _sent: dict[str, str] = field(default_factory=lambda: {"reasoning_content": "", "content": ""})
    _rounds: list[Json] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What a log or a proxy sees without reading the body."""
        return {"x-trace-id": self.trace_id, "x-leader-version": str(self.version)}

    def whole(self, transcript: Transcript) -> Json:
        """The reply in one piece; `hear` was told of every event if a transcript is wanted."""
        said, finish = _last_words(transcript)
        message = {
            "role": "assistant",
            "content": said.answer,
            "reasoning_content": said.thinking or None,
            "refusal": None,
        }
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        own = self._own(transcript)
        if self.question.transcript:
            own["transcript"] = self._rounds
        return self._envelope("chat.completion") | {"choices": [choice], "usage": usage(transcript), "mlpo": own}

    def hear(self, event: Event) -> None:
        """Collect proposals and drafts."""
        if isinstance(event, Proposals | Draft):
            self._rounds.append(_shown(event))

    def opening(self) -> Json:
        """The first chunk, sent at once."""
        own: Json = {"trace_id": self.trace_id, "version": self.version, "num_rounds": self.num_rounds}
        own |= {"decides_late": True} if self.decides_late else {}
        own |= {"alone_first": True} if self.alone_first else {}
        return self._chunk({"role": "assistant", "content": ""}, own)

    def chunks(self, event: Event) -> Iterator[Json]:
        """What a stream sends on an event.

        The last round's words are sent as they come; what was said before only if a transcript is wanted. Where it is
        decided late which draft is the answer, its words are sent when it is.
        """
        if isinstance(event, Refused):
            yield event.body
        elif isinstance(event, Words):
            if event.round == self.num_rounds - 1 and not self.decides_late:
                yield from self._more(spoken(event.text, grows=True))
            elif self.question.transcript:
                thinking, answer = spoken(event.text, grows=True)
                yield self._chunk({}, {"event": "words", "round": event.round, "thinking": thinking, "text": answer})
        elif isinstance(event, Proposals | Draft):
            if self.question.transcript:
                yield self._chunk({}, _shown(event))
        elif isinstance(event, Done):
            said, finish = _last_words(event.transcript)
            yield from self._more(said)
            yield self._chunk({}, {"event": "done"} | self._own(event.transcript), finish)
            if self.question.include_usage:
                yield self._envelope("chat.completion.chunk") | {"choices": [], "usage": usage(event.transcript)}

    def _more(self, said: Spoken) -> Iterator[Json]:
        """What is new since the last time. What was sent stands, even if a broken form makes another text of it."""
        for name, new in (("reasoning_content", said.thinking), ("content", said.answer)):
            sent = self._sent[name]
            if new != sent and new.startswith(sent):
                yield self._chunk({name: new[len(sent) :]})
                self._sent[name] = new

    def _own(self, transcript: Transcript) -> Json:
        failed = (c.model for c in transcript.completions if c.finish_reason == "error")
        return {
            "trace_id": self.trace_id,
            "version": self.version,
            "answer": transcript.answer,
            "num_rounds": sum(bool(r.proposals) for r in transcript.rounds) or 1,
            "dead_agents": sorted(set(failed)),
            "ignored_messages": self.question.ignored_messages,
            "usage": _usage_by_model(transcript),
        }

    def _chunk(self, delta: Json, own: Json | None = None, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        more = {} if own is None else {"mlpo": own}
        return self._envelope("chat.completion.chunk") | {"choices": [choice]} | more

    def _envelope(self, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{self.trace_id.removeprefix('tr-')}",
            "object": kind,
            "created": self.created,
            "model": self.question.model,
            "system_fingerprint": f"leader-{self.version}",
        }


def usage(transcript: Transcript) -> Json:
    """Tokens of team and leader together, every round."""
    prompt = sum(c.prompt_tokens for c in transcript.completions)
    completion = sum(c.completion_tokens for c in transcript.completions)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def sse(value: Json | str) -> bytes:
    """A server-sent event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _usage_by_model(transcript: Transcript) -> Json:
    by_model: dict[str, Json] = {}
    for c in transcript.completions:
        row = by_model.setdefault(c.model, {"prompt_tokens": 0, "completion_tokens": 0})
        row["prompt_tokens"] += c.prompt_tokens
        row["completion_tokens"] += c.completion_tokens
    return by_model


def _last_words(transcript: Transcript) -> tuple[Spoken, str]:
    said = transcript.answering
    return spoken(said.text), said.finish_reason


def _shown(event: Proposals | Draft) -> Json:
    if isinstance(event, Proposals):
        pairs = zip(event.completions, event.answers, strict=True)
        said = [_said(c, answer) | {"text": c.text.strip()} | _looked_up(c) for c, answer in pairs]
        return {"event": "proposals", "round": event.round, "proposals": said}
    thinking, text = spoken(event.completion.text)
    shown = _said(event.completion, event.answer) | {"thinking": thinking, "text": text}
    return {"event": "draft", "round": event.round, "draft": shown}


def _looked_up(completion: Completion) -> Json:
    found = [{"text": passage.text, "source": passage.source} for passage in completion.passages]
    return {"passages": found} if found else {}


def _said(completion: Completion, answer: str | None) -> Json:
    said: Json = {"model": completion.model, "answer": answer, "finish_reason": completion.finish_reason}
    sure = how_sure(completion) if completion.model != LEADER else ""
    return said | ({"error": completion.error} if completion.error else {}) | ({"sure": sure} if sure else {})
