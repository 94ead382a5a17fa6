"""The canonical form of a short answer, by kind: equal answers get equal strings, and what says two things gets none.

A form is what votes are counted on and what is compared with the target. It depends on the kind that the benchmark
declared and on the options of the question, never on the target.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from string import ascii_uppercase

from mlpo.types import AnswerKind

MAX_FORM_CHARS = 400
"""Longer spans are no short answers, whatever their kind."""
MAX_WORDS = 8
"""A `word` answer is a word or a name, not an explanation."""
MAX_PASSES = 8
"""A form that reads differently every time is none; real answers settle in the first or second pass."""
MAX_DIGITS = 100
"""Numbers with more digits or a larger exponent are refused: expanding 1e999999999 would hang."""

_NUMBER = re.compile(
    r"""(?<![\w.])[-+]?(?:
        (?:(?P<whole>[0-9]+)\s+)?(?P<numerator>[0-9]+)\s*/\s*(?P<denominator>[0-9]+)(?!\s*[/\w])
      | (?P<decimal>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?(?<=[0-9])(?:[eE][-+]?[0-9]+)?)
    )(?!\.[0-9])(?:(?!\w)|(?=[A-Za-z]{2}))""",
    re.VERBOSE,
)
"""A fraction, a mixed number, or a decimal with thousands commas. "5km" is read (a unit has two letters), "2x" not."""
_LATEX_FRACTION = re.compile(r"(?:([0-9])\s*)?\\frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_OPERATION = re.compile(r"[\s)\]}%]*+(?:(?:[-+/÷^x]|\\div|plus|minus|times|divided by)[\s(\[{]*+)++", re.IGNORECASE)
"""What stands between the numbers of a calculation; "-7 (-7)" is none."""
_MINUS_SIGNS = str.maketrans("−–", "--")
_MINUS_WORD = re.compile(r"(?<![\w-])(?:negative|minus)\s++(?=\.?[0-9])", re.IGNORECASE)
_LOOSE_MINUS = re.compile(r"(\A|\b(?:is|are|equals)|[=:(])([^\S\n]*+)-[^\S\n]++(?=\.?[0-9])", re.IGNORECASE)
"""The dash of "is - 7" is a sign; that of "the result - 7" is not, nor is a line's bullet."""
_BOLD_ITEM = re.compile(r"\A\s*+[-–]\s++(?=\*)")
"""The bullet of "- **7**"."""
_LATEX_NOISE = re.compile(r"\\[!,;: ]|\\(?:left|right)(?![a-zA-Z])|\\[()\[\]]|[$`]")
_TIMES = re.compile(r"\s*\\(?:times|cdot)(?![a-zA-Z])\s*|\\\*|[×⋅·]")
_STARS = re.compile(
    r"""(?:(?<=[^\W_]|[)\]}%*])|(?<=[0-9]!))(?:\*++|[^\S\n]++\*++[^\S\n]++)(?=[-+]?(?:[^\W_]|[(\[{\\*]|\.[0-9]))
      | (?<=[0-9])[^\S\n]*+\*++[^\S\n]*+(?=[0-9])
      | (?P<markup>\*++)""",
    re.VERBOSE,
)
"""A product or a power has operands around its stars, tight or spaced on both sides: 6*7, 6 * 7. Others are markup."""
_POWER = re.compile(r"(?<!\*)\*\*(?!\*)")
_IMPLICIT_TIMES = re.compile(r"(\\[a-zA-Z]++)? ?(?<!\*)\*(?!\*) ?(?=[^\W\d_]|[\\(])")
"""The star that 2*x, 2*\\sqrt{3} and 2*(x+1) can do without."""
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|mbox)\s*\{([^{}]*)\}")
_DOLLARS = re.compile(r"\$([^$]+)\$")
_OPTIONAL_SPACE = re.compile(r"(?<![A-Za-z])\s+|\s+(?![A-Za-z])")
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_WORD_HEDGE = re.compile(r"\bor\b|\||(?<=\w)\s*/\s*(?=\w)")
_EDGES = " \t\r\n*_`\"'“”‘’«»$.,;:!?-–—•()[]{}<>\\"
_TAIL = re.compile(r".*(?:\b(?:is|are|equals|it's)\b|[=:→])[\s*_`]*(?=\w)(.+)", re.DOTALL)
_ARTICLE = re.compile(r"\A(?:the|an|a)\s+(?=\S)")
_TRUTH = re.compile(
    r"((?:\b(?:(?:can)?not|never)|n['’]t)\s++(?:(?:be|always|quite|entirely|necessarily)\s++)*+)?"
    r"\b(yes|no|true|false)\b",
    re.IGNORECASE,
)
_LETTERS = "ABCDEFGHIJ"
"""Read where the options are not known."""
_LONE_LETTER = re.compile(r"[\s(\[*]*(?:(?:option|choice|answer)\s*[:(]*\s*)?([A-Za-z])[\s)\].:*]*")
_LED_LETTER = re.compile(r"[\s(\[*]*([A-Z])[)\].:*]+\s*(.+)", re.DOTALL)
_ANY_LETTER = re.compile(r"\(([A-Za-z])\)|(?<![\w'’])([B-HJ-Z]|[AI](?!\s+(?!or\b|and\b)[a-z]))(?![\w'’])")
"""(b), or a capital that stands alone; "A cat" and "I think" hold none."""
_NOT_LETTER = re.compile(
    r"(?i:\b(?:(?:can)?not|never)|n['’]t)\s++(?i:(?:be|the|answer|option|choice)\s++)*+[*\"]*+"
    rf"(?:{_ANY_LETTER.pattern})"
)
_LETTER_NOT = re.compile(
    rf"(?:{_ANY_LETTER.pattern})[)*]*+\s++"
    r"(?i:(?:is|was)(?:n['’]t|\s++(?:not|wrong|incorrect|false))|can(?:not|['’]t)\s++be)\b"
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
        return _choice(span, choices)
    form = _FORMS[kind](span)
    for _ in range(MAX_PASSES):
        again = form and _FORMS[kind](form)
        if again == form:
            return form
        form = again
    return None


def number_of(form: str) -> Fraction | None:
    """The value of a form that is one plain number (-3, 0.5, 1/3), else None."""
    return _value(form) if _NUMBER.fullmatch(form) else None


def _integer(text: str) -> str | None:
    value = _one_value(text)
    return str(value.numerator) if value is not None and value.denominator == 1 else None


def _number(text: str) -> str | None:
    value = _one_value(text)
    return None if value is None else _written(value)


def _one_value(text: str) -> Fraction | None:
    """The only value in `text`; of "17 + 25 = 42" the part after the last "=", and of "17 + 25" none."""
    if text.isdecimal() and text.isascii() and len(text) <= MAX_DIGITS:  # by far the most frequent
        return Fraction(int(text))
    text = _plain_fractions(_plain_latex(_BOLD_ITEM.sub("", text))).replace("{,}", ",")
    if "=" in text and not _OR.search(text):
        text = text.rsplit("=", 1)[1]
    text = _MINUS_WORD.sub("-", _LOOSE_MINUS.sub(r"\1\2-", text))
    numbers = list(_NUMBER.finditer(text))
    if "*" in text or any(_OPERATION.fullmatch(_between(text, a, b)) for a, b in pairwise(numbers)):
        return None
    values = {_value(number.group()) for number in numbers}
    return values.pop() if len(values) == 1 else None


def _between(text: str, a: re.Match[str], b: re.Match[str]) -> str:
    """What stands between two numbers, the sign of the second included."""
    return text[a.end() : b.start() + (b.group()[0] in "-+")]


def _value(token: str) -> Fraction | None:
    match = _NUMBER.fullmatch(token)
    if match is None or len(token) > MAX_DIGITS:
        return None
    sign = -1 if token.startswith("-") else 1
    if match["denominator"]:
        if int(match["denominator"]) == 0:
            return None
        return sign * (int(match["whole"] or 0) + Fraction(int(match["numerator"]), int(match["denominator"])))
    number = Decimal(match["decimal"].replace(",", ""))
    return None if abs(number.adjusted()) > MAX_DIGITS else sign * Fraction(number)


def _written(value: Fraction) -> str:
    """An integer, else an exact decimal, else a fraction in lowest terms."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    with localcontext(prec=4 * MAX_DIGITS):
        return f"{Decimal(value.numerator) / value.denominator:f}"


def _expression(text: str) -> str | None:
    spans = _DOLLARS.findall(text)
    if len(spans) == 1:  # prose around one formula
        text = spans[0]
    text = _plain_latex(text)
    if _OR.search(text):
        return None
    text = _IMPLICIT_TIMES.sub(lambda m: f"{m[1]} " if m[1] else "", " ".join(text.strip(" .,;:").split()))
    text = _POWER.sub("^", _OPTIONAL_SPACE.sub("", text))
    value = number_of(_plain_fractions(text))
    return (text or None) if value is None else _written(value)


def _plain_latex(text: str) -> str:
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\%", "%").replace("\\$", "")
    text = _LATEX_NOISE.sub("", _TIMES.sub("*", _LATEX_TEXT.sub(r" \1 ", text))).translate(_MINUS_SIGNS)
    return _STARS.sub(lambda m: "" if m["markup"] else m[0], text).strip()


def _plain_fractions(text: str) -> str:
    r"""2\frac{1}{3} -> 2 1/3."""
    return _LATEX_FRACTION.sub(lambda m: f"{m[1]} {m[2]}/{m[3]}" if m[1] else f"{m[2]}/{m[3]}", text)


def _yes_no(text: str) -> str | None:
    found = _TRUTH.findall(text)
    if any(negated for negated, _ in found):
        return None
    said = {"yes" if word.lower() in ("yes", "true") else "no" for _, word in found}
    return said.pop() if len(said) == 1 else None


def _word(text: str) -> str | None:
    text = _folded(text)
    if _WORD_HEDGE.search(text):
        return None
    tail = _TAIL.fullmatch(text)
    text = _bare(tail[1] if tail else text)
    return text if text and len(text.split()) <= MAX_WORDS else None


def _folded(text: str) -> str:
    """Casefolded, one space for every run of spaces and hyphens, straight apostrophes."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("’", "'")
    return " ".join(re.sub(r"[-‐‑\s]+", " ", text).split())


def _bare(text: str) -> str:
    """Without quotes, markup and punctuation at its ends, and without articles in front."""
    shorter = _ARTICLE.sub("", text.strip(_EDGES), count=1)
    return text if shorter == text else _bare(shorter)


def _list(text: str) -> str | None:
    """Items in their given order; one item is split at its spaces."""
    text = _BULLET.sub("", _LIST_LEAD.sub("", text.rsplit(":", 1)[-1]))
    if _OR.search(text):
        return None
    parts = [part for part in _ITEM_BREAK.split(text) if part]
    if len(parts) == 1:
        parts = parts[0].split()
    return ", ".join(item for part in parts if (item := _item(part))) or None


def _item(text: str) -> str:
    value = number_of(text.strip(" []{}()\"'`$.").translate(_MINUS_SIGNS))
    return _bare(_folded(text)) if value is None else _written(value)


def _brackets(text: str) -> str | None:
    """The brackets that end the text, such as "} ] )": whatever stands before them is prose."""
    found = None if _OR.search(text) else _BRACKETS.search(text)
    return " ".join(found[1].replace(" ", "")) if found else None


def _choice(text: str, choices: tuple[str, ...]) -> str | None:
    letters = ascii_uppercase[: len(choices)] if choices else _LETTERS
    options = {_bare(_folded(choice)): letter for letter, choice in zip(letters, choices, strict=False)}
    whole = _bare(_folded(text))
    led = None if _OR.search(text) else _LED_LETTER.match(text)
    quoted = led and options.get(_bare(_folded(led[2])))
    if lone := _LONE_LETTER.fullmatch(text):
        said = {lone[1].upper()}
    elif whole in options:
        said = {options[whole]}
    elif led and quoted:  # an option's own words may hold a letter or a "not": "IV - A New Hope"
        said = {led[1], quoted}
    elif _denies_letter(text, letters):
        said = set()
    elif led:
        said = {led[1]} | _letters_in(led[2], letters)
    else:
        said = _letters_in(text, letters) or {options[o] for o in options if re.search(rf"\b{re.escape(o)}\b", whole)}
    letter = said.pop() if len(said) == 1 else ""
    return letter if letter and letter in letters else None


def _letters_in(text: str, letters: str) -> set[str]:
    """The letters of options that a text names; X in "(B), as X = 2" is none of four options."""
    return {(a or b).upper() for a, b in _ANY_LETTER.findall(text)} & set(letters)


def _denies_letter(text: str, letters: str) -> bool:
    """Is the letter of an option denied, as in "not (B)", "it can't be B" and "(B) is wrong"?"""
    denied = (*_NOT_LETTER.findall(text), *_LETTER_NOT.findall(text))
    return any((a or b).upper() in letters for a, b in denied)


_FORMS: dict[str, Callable[[str], str | None]] = {
    "integer": _integer,
    "number": _number,
    "expression": _expression,
    "yes_no": _yes_no,
    "word": _word,
    "list": _list,
    "brackets": _brackets,
}
