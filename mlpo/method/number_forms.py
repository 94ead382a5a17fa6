"""The one number that a short text says, exactly, and its canonical form."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from mlpo.formulas.decimals import POWERS_OF_TEN, ends
from mlpo.method.plain_latex import plain_fractions, plain_latex
from mlpo.method.plain_words import OR

MAX_COMMAND = 24
"""A command before a number has at most so many letters."""
MAX_DIGITS = 100
"""Numbers with more digits or a larger exponent are refused: expanding 1e999999999 would hang."""
_NUMBER = re.compile(
    r"""(?<![\w.])[-+]?(?:
        (?:(?P<whole>[0-9]+)\s+)?(?P<numerator>[0-9]+)\s*/\s*(?P<denominator>[0-9]+)(?!\s*[/\w])
      | (?P<decimal>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+)?(?<=[0-9])(?:[eE][-+]?[0-9]+)?)
    )(?!\.[0-9])(?:(?!\w)|(?=[A-Za-z]{2}|[a-z][²³]))""",
    re.VERBOSE,
)
"""A fraction, a mixed number, or a decimal with thousands commas. "5km" is read (a unit has two letters), "2x" not."""
_OPERATION = re.compile(r"[\s)\]}%]*+(?:(?:[-+/÷^x]|\\div|plus|minus|times|divided by)[\s(\[{]*+)++", re.IGNORECASE)
"""What stands between the numbers of a calculation; "-7 (-7)" is none."""
_MINUS_WORD = re.compile(r"(?<![\w-])(?:negative|minus)\s++(?=\.?[0-9])", re.IGNORECASE)
_LOOSE_MINUS = re.compile(r"(\A|\b(?:is|are|equals)|[=:(])([^\S\n]*+)-[^\S\n]++(?=\.?[0-9])", re.IGNORECASE)
"""The dash of "is - 7" is a sign; that of "the result - 7" is not, nor is a line's bullet."""
_BOLD_ITEM = re.compile(r"\A\s*+[-–]\s++(?=\*)")
"""The bullet of "- **7**"."""
_SCALED = re.compile(r"(?<=[0-9])\s*+(hundred|thousand|million|billion|trillion)s?\b", re.IGNORECASE)
_COMMANDS = (
    "sqrt|log|ln|lg|exp|(?:arc)?(?:sin|cos|tan)h?|sec|csc|cot|pm|mp|c?frac|binom|overline|lfloor|lceil|gcd|lcm|max|min|sum|int|"
    "prod|Re|Im|pi|theta|infty|[bp]?mod|[lc]?dots"
)
_COMPUTED_FROM = re.compile(
    rf"(?:\\(?:{_COMMANDS})|√|±|(?<![a-zA-Z])(?:sqrt|log|ln|exp|sin|cos|tan))(?:\[[0-9]\]|_\{{?\w{{1,6}}\}}?)?\s*+[\[({{|]?\s*+[-+]?\Z"
    r"|(?<![a-zA-Z])[b-hj-zB-HJ-Z]\s*+[-+*/^_]\s*+[({]?[-+]?\Z|[\^_]\s*+[({]?[-+]?\Z|\}\s*+\{\s*+[-+]?\Z|\|\Z(?<=\S\|)"
)
_COMPUTED_WITH = re.compile(
    rf"\((?=\s*+[-+]?[0-9])|\s*+[)\]}}]?\s*+(?:\\(?:{_COMMANDS}|[ei])(?![a-zA-Z])|[√π∞!]|%\s*+[a-zA-Z0-9(](?![a-zA-Z])"
    r"|[-+*/^]\s*+[b-hj-zB-HJ-Z](?![a-zA-Z])"
    r"|(?:sqrt|pi|mod|squared|cubed|factorial|choose|or (?:more|less|fewer))(?![a-zA-Z]))"
)
"""A number after the one or before the other is a part of something: 4\\sqrt{4} and 3 \\mod 7 are not 4 and 3."""
_UNIT_POWER = re.compile(r"((?<=[a-z])[a-z]|(?<=[0-9])\s*+c?m)\^\{?[23]\}?(?![0-9])")
"""That of 12 cm^2."""


def number_of(form: str) -> Fraction | None:
    """The value of a form that is one plain number (-3, 0.5, 1/3), else None."""
    return _value(form) if _NUMBER.fullmatch(form) else None


def one_value(text: str) -> Fraction | None:
    """The only value in `text`; of "17 + 25 = 42" the part after the last "=", and of "17 + 25" none."""
    if text.isdecimal() and text.isascii() and len(text) <= MAX_DIGITS:  # by far the most frequent
        return Fraction(int(text))
    text = plain_fractions(plain_latex(_BOLD_ITEM.sub("", text))).replace("{,}", ",")
    text = _UNIT_POWER.sub(r"\1", text)
    if _SCALED.search(text):
        text = _SCALED.sub(lambda m: f"e{POWERS_OF_TEN[m[1].lower()]}", text)
    if "=" in text and not OR.search(text):
        text = text.rsplit("=", 1)[1]
    text = _MINUS_WORD.sub("-", _LOOSE_MINUS.sub(r"\1\2-", text))
    numbers = list(_NUMBER.finditer(text))
    if "*" in text or any(_OPERATION.fullmatch(_between(text, a, b)) for a, b in pairwise(numbers)):
        return None
    if any(_computed(text, number) for number in numbers):
        return None
    values = {_value(number.group()) for number in numbers}
    return values.pop() if len(values) == 1 else None


def _computed(text: str, number: re.Match[str]) -> bool:
    r"""Is the number a part of something else: of \sqrt{16}, 4\pi or 3 \mod 7?"""
    before = text[max(0, number.start() - MAX_COMMAND) : number.start()]
    return bool(_COMPUTED_FROM.search(before) or _COMPUTED_WITH.match(text, number.end()))


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


def written(value: Fraction) -> str:
    """An integer, else an exact decimal, else a fraction in lowest terms."""
    if not ends(value):
        return f"{value.numerator}/{value.denominator}"
    with localcontext(prec=4 * MAX_DIGITS):
        return f"{Decimal(value.numerator) / value.denominator:f}"
