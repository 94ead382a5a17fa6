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
_LATEX_FRACTION = re.compile(r"(?:([0-9])\s*)?\\frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_OPERATION = re.compile(r"[\s)\]}%]*+(?:(?:[-+/÷^x]|\\div|plus|minus|times|divided by)[\s(\[{]*+)++", re.IGNORECASE)
"""What stands between the numbers of a calculation; "-7 (-7)" is none."""
_MINUS_SIGNS = str.maketrans("−–", "--")
_MINUS_WORD = re.compile(r"(?<![\w-])(?:negative|minus)\s++(?=\.?[0-9])", re.IGNORECASE)
_LOOSE_MINUS = re.compile(r"(\A|\b(?:is|are|equals)|[=:(])([^\S\n]*+)-[^\S\n]++(?=\.?[0-9])", re.IGNORECASE)
"""The dash of "is - 7" is a sign; that of "the result - 7" is not, nor is a line's bullet."""
_BOLD_ITEM = re.compile(r"\A\s*+[-–]\s++(?=\*)")
"""The bullet of "- **7**"."""
_LATEX_NOISE = re.compile(r"(?<!\\)\\[!,;: ]|\\(?:left|right)(?![a-zA-Z])|(?<!\\)\\[()\[\]]|[$`]")
"""Not the end of a matrix's row, \\\\ before a blank."""
_NO_THOUSANDS = re.compile(r"(?<=[0-9])\\[,;: ](?![0-9]{3}(?![0-9]))(?=[0-9])")
"""The space of 1\\,2; that of 1\\,200 is a comma's."""
_TIMES = re.compile(r"\s*\\(?:times|cdot)(?![a-zA-Z])\s*|\\\*|[×⋅·]")
_STARS = re.compile(
    r"""(?:(?<=[^\W_]|[)\]}%*])|(?<=[0-9]!))(?:\*++|[^\S\n]++\*++[^\S\n]++)(?=[-+]?(?:[^\W_]|[(\[{\\*]|\.[0-9]))
      | (?<=[0-9])[^\S\n]*+\*++[^\S\n]*+(?=[0-9])
      | (?P<markup>\*++)""",
    re.VERBOSE,
)
"""A product or a power has operands around its stars, tight or spaced on both sides: 6*7, 6 * 7. Others are markup."""
_POWER = re.compile(r"(?<!\*)\*\*(?!\*)")
_IMPLICIT_TIMES = re.compile(r"([a-zA-Z])? ?(?<!\*)\*(?!\*) ?(?=[^\W\d_]|[\\(])(?<![fgh]\*(?=\())")
"""The star that 2*x, 2*\\sqrt{3} and 2*(x+1) can do without."""
_LATEX_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mathrm|mathbf|mbox|emph)\s*\{([^{}]*)\}")
_SHORT_UNIT = re.compile(r"\s*(?:[mgshlLJNWVKCAF]|[a-z]{1,3} ?/ ?[a-z]{1,3})\s*")
"""Read as a unit only where it is marked as a text: 5\\text{ m} is not 5 times m."""
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
_SHORT_FRACTION = re.compile(r"\\frac\s*+(?:\{\s*+([0-9]++)\s*+\}|([0-9]))\s*+(?:\{\s*+([0-9]++)\s*+\}|([0-9]))")
_SCALED = re.compile(r"(?<=[0-9])\s*+(hundred|thousand|million|billion|trillion)s?\b", re.IGNORECASE)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
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
_ANY_LETTER = re.compile(
    r"\(([A-Za-z])\)|(?<![\w'’])("
    r"[B-HJ-Z]|I(?!\s+(?!or\b|and\b)[a-z])|A(?!\s+(?!(?:or|and|is|was|because|since|as|cannot)\b)[a-z]))(?![\w'’])"
)
"""(b), or a capital that stands alone; "A cat" and "I think" hold none."""
_NOT_LETTER = re.compile(
    r"(?i:\b(?:(?:can)?not|never)|n['’]t)\s++(?i:(?:be|the|answer|option|choice)\s++)*+[*\"]*+"
    rf"(?:{_ANY_LETTER.pattern})"
)
_LETTER_NOT = re.compile(
    rf"(?:{_ANY_LETTER.pattern})[)*]*+\s++"
    r"(?i:(?:is|was|are|were)(?:n['’]t|\s++(?:not|wrong|incorrect|false))|can(?:not|['’]t)\s++be)\b"
)
_REASON = re.compile(r"\b(because|since|as opposed to|rather than|instead of)\b", re.IGNORECASE)
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
    text = _UNIT_POWER.sub(r"\1", text)
    if _SCALED.search(text):
        text = _SCALED.sub(lambda m: f"e{_SCALES[m[1].lower()]}", text)
    if "=" in text and not _OR.search(text):
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
    if not spans and (stated := list(_STATED.finditer(text))):
        if _OR.search(text[: stated[-1].end()]):
            return None
        text = text[stated[-1].end() :]
    if _OR.search(text):
        text = _solutions(text)
    text = _PERCENT.sub("%", _DOTS.sub(r"\\ldots ", text).strip(" .,;:").lstrip("= "))
    if (value := number_of(_plain_fractions(text))) is not None:  # 4 4/9, before its space goes
        return _written(value)
    text = _IMPLICIT_TIMES.sub(lambda m: f"{m[1]} " if m[1] else "", " ".join(text.split()))
    text = _POWER.sub("^", _OPTIONAL_SPACE.sub(lambda m: "" if m[1] or m[2] else " ", text))
    value = number_of(_plain_fractions(text))
    return (text or None) if value is None else _written(value)


def _solutions(text: str) -> str:
    r"""x = 1 or x = 2 as one answer, x=1 \lor x=2; any other "or" is a hedge, and nothing is left of it."""
    parts = _OR.split(text)
    names = [_SOLVED.match(part) for part in parts]
    if not all(names) or len({name[1] for name in names if name}) > 1:
        return ""
    return " \\lor ".join(part.strip(" ,") for part in parts)


def _plain_latex(text: str) -> str:
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\%", "%").replace("\\$", "")
    text = _NO_THOUSANDS.sub(" ", text)
    text = _LATEX_NOISE.sub("", _TIMES.sub("*", _unwrapped(text))).translate(_MINUS_SIGNS)
    return _STARS.sub(lambda m: "" if m["markup"] else m[0], text).strip()


def _unwrapped(text: str) -> str:
    r"""Texts without their command, but for the short unit of a value: 5\text{ m}."""

    def plain(match: re.Match[str]) -> str:
        before = match.string[: match.start()].rstrip(" \\,!;:~")[-1:]
        if _SHORT_UNIT.fullmatch(match[1]) and (before.isdigit() or before in tuple("})")):
            return f"\\text{{{''.join(match[1].split())}}}"
        return f" {match[1]} "

    return _LATEX_TEXT.sub(plain, text)


def _plain_fractions(text: str) -> str:
    r"""2\frac{1}{3} -> 2 1/3, \frac12 -> 1/2."""
    text = _SHORT_FRACTION.sub(lambda m: f"\\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    return _LATEX_FRACTION.sub(lambda m: f"{m[1]} {m[2]}/{m[3]}" if m[1] else f"{m[2]}/{m[3]}", text)


def _yes_no(text: str) -> str | None:
    found = _TRUTH.findall(_unwrapped(text))
    if any(negated for negated, _ in found):
        return None
    said = {"yes" if word.lower() in ("yes", "true") else "no" for _, word in found}
    return said.pop() if len(said) == 1 else None


def _word(text: str) -> str | None:
    text = _folded(_unwrapped(text))
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
    text = _BULLET.sub("", _LIST_LEAD.sub("", _unwrapped(text).rsplit(":", 1)[-1]))
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
    text = _unwrapped(text)
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
    elif (chosen := _before_reason(text, letters)) is not None:
        said = {chosen}
    elif denied := _denied_letters(text, letters):
        said = _letters_in(text[: min(denied)], letters)  # what is said before, in "B because C is wrong"
        if said != _letters_in(text, letters) - set(denied.values()):
            said = set()
    elif led:
        said = {led[1]} | _letters_in(led[2], letters)
    else:
        said = _letters_in(text, letters) or {options[o] for o in options if re.search(rf"\b{re.escape(o)}\b", whole)}
    letter = said.pop() if len(said) == 1 else ""
    return letter if letter and letter in letters else None


def _before_reason(text: str, letters: str) -> str | None:
    """The one letter before a reason, such as the B of "B because C is wrong"."""
    choice, reason, _ = _REASON.split(text, maxsplit=1) if _REASON.search(text) else (text, "", "")
    said = _letters_in(choice, letters)
    return said.pop() if reason and len(said) == 1 and not _denied_letters(choice, letters) else None


def _letters_in(text: str, letters: str) -> set[str]:
    """The letters of options that a text names; X in "(B), as X = 2" is none of four options."""
    return {(a or b).upper() for a, b in _ANY_LETTER.findall(text)} & set(letters)


def _denied_letters(text: str, letters: str) -> dict[int, str]:
    """The options that are denied, as in "not (B)", "it can't be B" and "(B) is wrong", by where that is said."""
    found = (*_NOT_LETTER.finditer(text), *_LETTER_NOT.finditer(text))
    denied = {match.start(): (match[1] or match[2]).upper() for match in found}
    return {at: letter for at, letter in denied.items() if letter in letters}


_FORMS: dict[str, Callable[[str], str | None]] = {
    "integer": _integer,
    "number": _number,
    "expression": _expression,
    "yes_no": _yes_no,
    "word": _word,
    "list": _list,
    "brackets": _brackets,
}
