"""A leader's completion as a chat shows it: its thinking and its answer, without tags, also while it still grows."""

from __future__ import annotations

import re
from typing import NamedTuple

_OPEN = re.compile(r"\s*<think>", re.IGNORECASE)
_CLOSE = re.compile(r"</think>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:think|answer)>", re.IGNORECASE)
_LONGEST_TAG = len("</answer>")


class Spoken(NamedTuple):
    """What is shown. Of a completion that grows, each part only grows too."""

    thinking: str
    answer: str


def spoken(text: str, *, grows: bool = False) -> Spoken:
    """`<think>a</think><answer>b</answer>` is thinking a and answer b; a text without thinking is all answer.

    Args:
        grows: the completion has not ended, so what it ends in is held back where the next token may change it.
    """
    if grows:
        text = text[: _settled(text)]
    opened = _OPEN.match(text)
    if opened is None:
        return Spoken("", _plain(text))
    closed = _CLOSE.search(text, opened.end())
    if closed is None:
        return Spoken(_plain(text[opened.end() :]), "")
    return Spoken(_plain(text[opened.end() : closed.start()]), _plain(text[closed.end() :]))


def _settled(text: str) -> int:
    """Where that begins which may yet become a tag, end as blank space, or be half a character."""
    end = len(text)
    while True:
        kept = end
        while end and (text[end - 1].isspace() or text[end - 1] == "\ufffd"):
            end -= 1
        opened = text.rfind("<", max(0, end - _LONGEST_TAG), end)
        if opened >= 0 and ">" not in text[opened:end]:
            end = opened
        if end == kept:
            return end


def _plain(text: str) -> str:
    return _TAG.sub("", text).strip()
