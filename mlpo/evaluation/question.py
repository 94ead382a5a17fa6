"""A user's question as a problem: no target, and whether a number or a word is wanted."""

from __future__ import annotations

import re

from mlpo.config import ConfigError, digest
from mlpo.types import AnswerKind, Problem

NUMBER_QUESTION = re.compile(r"\d\s*[-+*/x×÷]\s*\d|\bhow (?:many|much)\b", re.IGNORECASE)
"""A sum of digits, or "how many": the answer is a number. Everything else is asked for a word."""


def problem_of(question: str) -> Problem:
    """A question without a target, as a problem.

    Raises:
        ConfigError: nothing is asked.
    """
    text = question.strip()
    if not text:
        raise ConfigError('the question is empty; ask something, as in: mlpo ask "17 + 25?"')
    return Problem(digest(text), "ask", "ask", text, "", answer_kind(text))


def answer_kind(question: str) -> AnswerKind:
    """ "number" if the question reads like a sum or asks how many, else "word"."""
    return "number" if NUMBER_QUESTION.search(question) else "word"
