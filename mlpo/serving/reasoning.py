"""A leader's completion as a chat shows it: its thinking and its answer, without tags, also while it still grows."""

from __future__ import annotations

import re
from typing import NamedTuple

_OPEN = re.compile(r"\s*<think>", re.IGNORECASE)
_CLOSE = re.compile(r"</think>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:think|answer)>", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:<[^<>]{0,8}|\s+|\ufffd+)\Z")
"""What may yet become a tag, end as blank space, or be half a character."""


class Spoken(NamedTuple):
    """What is shown. Of a completion that grows, each part only grows too."""

    thinking: str
    answer: str


def spoken(text: str, *, grows: bool = False) -> Spoken:
    """`<think>a</think><answer>b</answer>` is thinking a and answer b; a text without thinking is all answer.

    Args:
        grows: the completion has not ended, so what it ends in is held back where the next token may change it.
    """
    while grows and (held := _UNFINISHED.search(text)):
        text = text[: held.start()]
    opened = _OPEN.match(text)
    if opened is None:
        return Spoken("", _plain(text))
    closed = _CLOSE.search(text, opened.end())
    if closed is None:
        return Spoken(_plain(text[opened.end() :]), "")
    return Spoken(_plain(text[opened.end() : closed.start()]), _plain(text[closed.end() :]))


def _plain(text: str) -> str:
    return _TAG.sub("", text).strip()
