"""What a text answers: the parser knows the declared kind and never a target; only `is_correct` compares with one.

A leader answers inside `<answer>` tags after its `</think>`. Whatever stands before the last `</think>` is thinking, so
an agent's text quoted there is never read as the leader's answer. The last answer counts: a leader that backtracks may
retract one and give another. An answer that hedges ("A or B") is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from mlpo.formulas.decimals import places_of_rounding, rounds
from mlpo.method.answer_forms import canonical_form
from mlpo.method.number_forms import number_of
from mlpo.types import AnswerKind, Completion, Problem

Equivalent = Callable[[str, str], bool]
"""equivalent(answer, target): are two expressions mathematically equal?"""

SHORT_LINE_WORDS = 4
"""The first of several lines is the answer if it has at most so many words; else the last line is."""

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")
_THINK_OPEN = re.compile(r"<think>", re.IGNORECASE)
_THINK_CLOSE = re.compile(r"</think>", re.IGNORECASE)
_ANSWER = re.compile(r"<answer>([^<]*+(?:<(?!/?answer>)[^<]*+)*+)</answer>", re.IGNORECASE)
_CUE = re.compile(
    r"(?:\banswer\b[\s*_]*+(?:\bis\b|[:=])[\s*_:]*+|####[^\S\n]*+)(?:(?<=\n)-\s++)?(?=\S)",
    re.IGNORECASE,
)
"""What an answer follows, up to the end of its line."""
_STATED = re.compile(r"(?:\b(?:is|are|equals)|=)\s++(?=\S)")
_BRACE = re.compile(r"(?P<box>\\boxed\s*)?(?P<open>\{)|\\boxed\s+(?P<token>\w)|\\.|(?P<close>\})", re.DOTALL)
_OPEN_BOX = re.compile(r"\\boxed\s*\{")
_OPEN_DISPLAY = re.compile(r"(?<!\\)\\\[|\$\$|\\begin\{(?:align|equation|gather|eqnarray|multline)\*?\}")
_ALIGNED = re.compile(r"\\(?:begin|end)\{(?:aligned|split|gathered|align\*?)\}")
_MATHS = re.compile(r"[0-9$=\\]")
_STATED_KINDS = ("word", "integer", "number")
_NUMBER_KINDS = ("integer", "number")
_MATHS_KINDS = (*_NUMBER_KINDS, "expression")
_CALLED = re.compile(r"!(?=[\s*_]{0,8}\Z)")
"""The mark of "It is 42!", in a sentence no factorial."""
_SENTENCE_END = re.compile(r"(?:(?<=[a-z]{3})|(?<=[0-9])|(?<=\b[Nn]o))[.!?]\s+(?=[A-Z])")


class Reading(NamedTuple):
    """What was read in a completion."""

    answer: str | None
    lenient: bool = False
    """Read where a trained leader's answer would not be: without tags, or in a truncated completion."""


def parse_answer(text: str, kind: AnswerKind, choices: Sequence[str] = ()) -> str | None:
    """A leader's answer: the canonical form of its last closed `<answer>` after its thinking; None if there is none."""
    span = _last_tagged(_after_think(text))
    return None if span is None else _form(span, kind, tuple(choices))


def parse_plain(text: str, kind: AnswerKind, choices: Sequence[str] = ()) -> str | None:
    r"""An agent's answer in plain text.

    The first of these that is there decides, even if it holds no answer: the last `<answer>`, the last balanced
    `\boxed{}`, the last "answer is ..." or "#### ...", the only line, the first line if it is short, the last line.
    A statement of a word or a number, "The capital of Peru is Lima.", answers with what follows its last "is".
    """
    options = tuple(choices)
    return next((form for span in plain_spans(text, kind) if (form := _form(span, kind, options)) is not None), None)


def plain_spans(text: str, kind: AnswerKind) -> tuple[str, ...]:
    """Where a plain text's answer stands, as written: the first of these that can be read is the answer."""
    visible = _after_think(text)
    for marked in (_last_tagged(visible), _boxed(visible, kind)):
        if marked is not None:
            return (marked,)
    displays: list[str] = []
    if kind in _MATHS_KINDS:
        visible, displays = _flat_displays(visible)
    if cue := _last(_CUE, visible):
        said = _first_sentence(visible[cue.end() :].split("\n", 1)[0])
        return (_CALLED.sub("", said) if kind in _NUMBER_KINDS else said,)
    lines = [line for line in visible.splitlines() if line.strip()]
    if not lines:
        return ()
    line = lines[0] if len(lines) == 1 or len(lines[0].split()) <= SHORT_LINE_WORDS else lines[-1]
    if displays and not _MATHS.search(line):  # words after a formula that stands alone
        return (displays[-1],)
    line = _CALLED.sub("", line) if kind in _NUMBER_KINDS else line
    first = _first_sentence(line)
    stated = _stated(first) if kind in _STATED_KINDS else None
    return (first, line) if stated is None else (stated, first, line)


def parse_last_line(text: str, kind: AnswerKind, choices: Sequence[str] = ()) -> str | None:
    """The lenient reading of an untrained leader that used no tags: its last line as plain text."""
    lines = [line for line in _after_think(text).splitlines() if line.strip()]
    return parse_plain(lines[-1], kind, choices) if lines else None


def agent_answer(completion: Completion, problem: Problem) -> str | None:
    """An agent's answer; a failed or truncated completion has none."""
    if completion.finish_reason != "stop":
        return None
    return parse_plain(completion.text, problem.answer_kind, problem.choices)


def leader_answer(completion: Completion, problem: Problem, *, lenient: bool = False) -> Reading:
    """A leader's answer; a failed or truncated completion has none.

    `lenient` gives a leader that was never taught the format its chance: closed tags count even if the completion was
    cut off after them, and without tags the last line of a complete text is read. Both are flagged.
    """
    truncated = completion.finish_reason == "length"
    if completion.finish_reason == "error" or (truncated and not lenient):
        return Reading(None)
    if _last_tagged(_after_think(completion.text)) is not None:
        answer = parse_answer(completion.text, problem.answer_kind, problem.choices)
        return Reading(answer, lenient=truncated and answer is not None)
    if truncated or not lenient:
        return Reading(None)
    answer = parse_last_line(completion.text, problem.answer_kind, problem.choices)
    return Reading(answer, lenient=answer is not None)


def is_correct(answer: str | None, problem: Problem, *, equivalent: Equivalent | None = None) -> bool:
    """Does `answer` equal the target or an alias? None never does; a hedge never does.

    Numbers are compared by value, exactly but for a decimal that rounds a fraction; expressions by form, then by
    value, then by `equivalent` where it is given.

    Raises:
        ValueError: neither the target nor an alias can be read as the problem's kind, so nothing could be right.
    """
    form = None if answer is None else canonical_form(answer, problem.answer_kind, problem.choices)
    if form is None:
        return False
    accepted = _accepted(problem)
    if form in accepted:
        return True
    if problem.answer_kind == "number":
        return any(_close(form, target) for target in accepted)
    if problem.answer_kind == "expression":
        return any(_equal_expressions(form, target, equivalent) for target in accepted)
    return False


def well_formed(text: str) -> bool:
    """`<think>`, `</think>`, `<answer>`, `</answer>`: each once, in this order, nothing after, the answer not blank."""
    if any(text.count(tag) != 1 for tag in _TAGS):
        return False
    places = [text.index(tag) for tag in _TAGS]
    answer, after = text[places[2] + len(_TAGS[2]) : places[3]], text[places[3] + len(_TAGS[3]) :]
    return places == sorted(places) and bool(answer.strip()) and not after.strip()


def think_of(text: str) -> str:
    """A leader's thinking, from its first `<think>` (or the start) to its last `</think>` (or the end)."""
    opened = _THINK_OPEN.search(text)
    closed = _last(_THINK_CLOSE, text)
    if opened is None and closed is None:
        return ""
    start = opened.end() if opened and (closed is None or opened.end() <= closed.start()) else 0
    return text[start : closed.start() if closed else None].strip()


def _after_think(text: str) -> str:
    """What follows the last `</think>`, up to a `<think>` that is never closed."""
    closed = _last(_THINK_CLOSE, text)
    visible = text[closed.end() :] if closed else text
    opened = _THINK_OPEN.search(visible)
    return visible[: opened.start()] if opened else visible


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for match in pattern.finditer(text):
        last = match
    return last


def _last_tagged(visible: str) -> str | None:
    match = _last(_ANSWER, visible)
    return match[1] if match else None


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` with balanced braces holds, or the 9 of `\boxed 9`; escaped braces do not count."""
    content: tuple[int, int] = (-1, -1)
    open_boxes: list[int | None] = []  # where each open brace's content starts, None for a brace that is no box's
    for match in _BRACE.finditer(text):
        if match["token"]:
            content = max(content, match.span("token"))
        elif match["close"]:
            start = open_boxes.pop() if open_boxes else None
            content = content if start is None else max(content, (start, match.start()))
        elif match["open"]:
            open_boxes.append(match.end() if match["box"] else None)
    return text[slice(*content)] if content[1] >= 0 else None


def _boxed(text: str, kind: AnswerKind) -> str | None:
    r"""What the last box holds. One of brackets is not balanced, as in `\boxed{} ) }}`: it ends at the last brace."""
    if kind != "brackets":
        return last_boxed(text)
    box = _last(_OPEN_BOX, text)
    return text[box.end() :].rpartition("}")[0].replace("\\", "") if box else None


def _form(span: str, kind: AnswerKind, choices: tuple[str, ...]) -> str | None:
    boxed = _boxed(span, kind)
    return canonical_form((span if boxed is None else boxed).strip(), kind, choices)


def _stated(sentence: str) -> str | None:
    """What follows the last "is" or "=" of a sentence, without the mark that ends it."""
    found = _last(_STATED, sentence)
    if found is None:
        return None
    stated = sentence[found.end() :].rstrip()
    return stated[:-1].rstrip() if len(stated) > 1 and stated[-1] in ".!" else stated


def _flat_displays(text: str) -> tuple[str, list[str]]:
    r"""The text with each displayed formula, \[...\], $$...$$ or the last row of an align, in one line; and these."""
    parts: list[str] = []
    displays: list[str] = []
    at = 0
    while (opened := _OPEN_DISPLAY.search(text, at)) is not None:
        close = {"\\[": "\\]", "$$": "$$"}.get(opened[0]) or opened[0].replace("begin", "end")
        end = text.find(close, opened.end())
        if end < 0:
            break
        inside = text[opened.end() : end]
        formula = _ALIGNED.sub("", inside)
        if formula != inside or close.startswith("\\end"):
            rows = [row for row in formula.replace("&", " ").split("\\\\") if row.strip()]
            formula = rows[-1] if rows else ""
        formula = " ".join(formula.split())
        parts += [text[at : opened.start()], "\\[ ", formula, " \\]"]
        displays.append(formula)
        at = end + len(close)
    return "".join([*parts, text[at:]]), displays


def _first_sentence(line: str) -> str:
    return _SENTENCE_END.split(line, maxsplit=1)[0]


@lru_cache(maxsize=8192)
def _accepted(problem: Problem) -> tuple[str, ...]:
    forms = [canonical_form(t, problem.answer_kind, problem.choices) for t in (problem.target, *problem.aliases)]
    accepted = tuple(dict.fromkeys(form for form in forms if form is not None))
    if not accepted:
        raise ValueError(
            f"problem {problem.id} ({problem.benchmark}/{problem.family}): target {problem.target!r} cannot be read as "
            f"answer kind {problem.answer_kind!r}; mend the target or the kind in the benchmark"
        )
    return accepted


def _close(form: str, target: str) -> bool:
    """The same number; a decimal of six digits or more may also round a fraction that has no last digit."""
    a, b = number_of(form), number_of(target)
    if a is None or b is None:
        return False
    if a == b or ("/" in form) == ("/" in target):
        return a == b
    decimal, short, exact = (target, b, a) if "/" in form else (form, a, b)
    places = places_of_rounding(decimal)
    return places > 0 and rounds(short, exact, Fraction(1, 10**places))


def _equal_expressions(form: str, target: str, equivalent: Equivalent | None) -> bool:
    if number_of(form) is not None and number_of(target) is not None:
        return _close(form, target)
    return equivalent is not None and equivalent(form, target)
