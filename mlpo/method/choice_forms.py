"""The one option that a short text chooses: its letter or its words, and not what is denied."""

from __future__ import annotations

import re
from string import ascii_uppercase

from mlpo.method.plain_latex import unwrapped
from mlpo.method.plain_words import OR, bare, folded

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


def choice_form(text: str, choices: tuple[str, ...]) -> str | None:
    text = unwrapped(text)
    letters = ascii_uppercase[: len(choices)] if choices else _LETTERS
    options = {bare(folded(choice)): letter for letter, choice in zip(letters, choices, strict=False)}
    whole = bare(folded(text))
    led = None if OR.search(text) else _LED_LETTER.match(text)
    quoted = led and options.get(bare(folded(led[2])))
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
