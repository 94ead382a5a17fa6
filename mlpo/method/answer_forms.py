"""The canonical form of a short answer, by kind: equal answers get equal strings, and what says two things gets none.

A form is what votes are counted on and what is compared with the target. It depends on the kind that the benchmark
declared and on the options of the question, never on the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from mlpo.method.choice_forms import choice_form
from mlpo.method.number_forms import number_of, one_value, written
from mlpo.method.plain_latex import MINUS_SIGNS, plain_fractions, plain_latex, unwrapped
from mlpo.method.plain_words import OR, bare, folded
from mlpo.types import AnswerKind

MAX_FORM_CHARS = 400
"""Longer spans are no short answers, whatever their kind."""
MAX_WORDS = 8
"""A `word` answer is a word or a name, not an explanation."""
MAX_PASSES = 8
"""A form that reads differently every time is none; real answers settle in the first or second pass."""
_POWER = re.compile(r"(?<!\*)\*\*(?!\*)")
_IMPLICIT_TIMES = re.compile(r"([a-zA-Z])? ?(?<!\*)\*(?!\*) ?(?=[^\W\d_]|[\\(])(?<![fgh]\*(?=\())")
"""The star that 2*x, 2*\\sqrt{3} and 2*(x+1) can do without."""
_DOLLARS = re.compile(r"(?<!\\)\$([^$]+)(?<!\\)\$")
_OPTIONAL_SPACE = re.compile(
    r"(?<=[0-9])\s+(?=[0-9])|(?<=[0-9],)\s+(?=[0-9]{3}(?![0-9]))|(?<![A-Za-z])(\s+)|(\s+)(?![A-Za-z])"
)
"""Not that of 4 4/9, nor that of 100, 200, which are no thousands."""
_STATED = re.compile(r"\b(?:is|are|equals)\s++(?=\S)", re.IGNORECASE)
_DOTS = re.compile(r"(?<=[,:+;])\s*+(?:\.{3}|…)")
"""Those of a sequence; "5..." ends a sentence."""
_PERCENT = re.compile(r"(?<=[0-9}])\s*+percent\b", re.IGNORECASE)
_SOLVED = re.compile(r"\s*+,?\s*+([a-zA-Z])\s*+(?:[=<>≤≥]|\\(?:le|leq|ge|geq|lt|gt|in)(?![a-zA-Z]))")
_WORD_HEDGE = re.compile(r"\bor\b|\||(?<=\w)\s*/\s*(?=\w)")
_TAIL = re.compile(r".*(?:\b(?:is|are|equals|it's)\b|[=:→])[\s*_`]*(?=\w)(.+)", re.DOTALL)
_TRUTH = re.compile(
    r"((?:\b(?:(?:can)?not|never)|n['’]t)\s++(?:(?:be|always|quite|entirely|necessarily)\s++)*+)?"
    r"\b(yes|no|true|false)\b",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"(?:^|[\s:\"'`$*])([()\[\]{}<>](?: *[()\[\]{}<>])*)[\s\"'`$*.]*$")
_ITEM_BREAK = re.compile(r"\s*(?:[,;\n]|\band\b)\s*")
_LIST_LEAD = re.compile(r".*\bthe answer is\b", re.IGNORECASE | re.DOTALL)
"""Never part of a sorted list: these words are not in order."""
_BULLET = re.compile(r"(?m)^\s*(?:[0-9]+[.)]|[-*•])\s+")


@lru_cache(maxsize=65536)
def canonical_form(span: str, kind: AnswerKind, choices: tuple[str, ...] = ()) -> str | None:
    """The canonical form of the short text `span`, or None where it holds no answer of this kind, or several.

    Idempotent: the form of a form is itself.
    """
    if not span or len(span) > MAX_FORM_CHARS:
        return None
    if kind == "choice":
        return choice_form(span, choices)
    form = _FORMS[kind](span)
    for _ in range(MAX_PASSES):
        again = form and _FORMS[kind](form)
        if again == form:
            return form
        form = again
    return None


def _integer(text: str) -> str | None:
    value = one_value(text)
    return str(value.numerator) if value is not None and value.denominator == 1 else None


def _number(text: str) -> str | None:
    value = one_value(text)
    return None if value is None else written(value)


def _expression(text: str) -> str | None:
    spans = _DOLLARS.findall(text)
    if len(spans) == 1:  # prose around one formula
        text = spans[0]
    text = plain_latex(text)
    if not spans and (stated := list(_STATED.finditer(text))):
        if OR.search(text[: stated[-1].end()]):
            return None
        text = text[stated[-1].end() :]
    if OR.search(text):
        text = _solutions(text)
    text = _PERCENT.sub("%", _DOTS.sub(r"\\ldots ", text).strip(" .,;:").lstrip("= "))
    if (value := number_of(plain_fractions(text))) is not None:  # 4 4/9, before its space goes
        return written(value)
    text = _IMPLICIT_TIMES.sub(lambda m: f"{m[1]} " if m[1] else "", " ".join(text.split()))
    text = _POWER.sub("^", _OPTIONAL_SPACE.sub(lambda m: "" if m[1] or m[2] else " ", text))
    value = number_of(plain_fractions(text))
    return (text or None) if value is None else written(value)


def _solutions(text: str) -> str:
    r"""x = 1 or x = 2 as one answer, x=1 \lor x=2; any other "or" is a hedge, and nothing is left of it."""
    parts = OR.split(text)
    names = [_SOLVED.match(part) for part in parts]
    if not all(names) or len({name[1] for name in names if name}) > 1:
        return ""
    return " \\lor ".join(part.strip(" ,") for part in parts)


def _yes_no(text: str) -> str | None:
    found = _TRUTH.findall(unwrapped(text))
    if any(negated for negated, _ in found):
        return None
    said = {"yes" if word.lower() in ("yes", "true") else "no" for _, word in found}
    return said.pop() if len(said) == 1 else None


def _word(text: str) -> str | None:
    text = folded(unwrapped(text))
    if _WORD_HEDGE.search(text):
        return None
    tail = _TAIL.fullmatch(text)
    text = bare(tail[1] if tail else text)
    return text if text and len(text.split()) <= MAX_WORDS else None


def _list(text: str) -> str | None:
    """Items in their given order; one item is split at its spaces."""
    text = _BULLET.sub("", _LIST_LEAD.sub("", unwrapped(text).rsplit(":", 1)[-1]))
    if OR.search(text):
        return None
    parts = [part for part in _ITEM_BREAK.split(text) if part]
    if len(parts) == 1:
        parts = parts[0].split()
    return ", ".join(item for part in parts if (item := _item(part))) or None


def _item(text: str) -> str:
    value = number_of(text.strip(" []{}()\"'`$.").translate(MINUS_SIGNS))
    return bare(folded(text)) if value is None else written(value)


def _brackets(text: str) -> str | None:
    """The brackets that end the text, such as "} ] )": whatever stands before them is prose."""
    found = None if OR.search(text) else _BRACKETS.search(text)
    return " ".join(found[1].replace(" ", "")) if found else None


_FORMS: dict[str, Callable[[str], str | None]] = {
    "integer": _integer,
    "number": _number,
    "expression": _expression,
    "yes_no": _yes_no,
    "word": _word,
    "list": _list,
    "brackets": _brackets,
}
