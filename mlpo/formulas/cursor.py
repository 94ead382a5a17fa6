"""A text as the pieces of a formula: plain characters as LaTeX, then one piece after the other."""

from __future__ import annotations

import re

from mlpo.formulas.tree import UnreadableError

_PLAIN_CHARACTERS = {
    "π": "\\pi ", "√": "\\sqrt ", "∞": "\\infty ", "±": "\\pm ", "∓": "\\mp ", "°": "^\\circ ", "∪": "\\cup ",
    "½": "\\frac{1}{2}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}", "⅓": "\\frac{1}{3}", "⅔": "\\frac{2}{3}",
    "…": "\\ldots ", "−": "-", "–": "-", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "λ": "\\lambda ",
    "φ": "\\phi ", "ω": "\\omega ", "μ": "\\mu ", "∅": "\\emptyset ", "∨": "\\lor ", "\xa0": " ", "\u2009": " ",
    "\u202f": " ",
}  # fmt: skip
_NOISE = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|bigl|bigr|displaystyle|limits|quad|qquad|rm|it)(?![a-zA-Z])\.?"
    r"|(?<!\\)\\[!,;:> ]|~|\$"
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹⁻ⁿ]+")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_LOGARITHM = re.compile(r"(?<![a-zA-Z\\])log(2|10)\(")
_TOKEN = re.compile(r"\s*(?:(\\[a-zA-Z]+|\\.|[a-zA-Z]+|[0-9]+(?:\.[0-9]+)?|\.[0-9]+|<=|>=|!=|\.\.\.|\S))", re.DOTALL)


def as_latex(text: str) -> str:
    """The text with plain signs as LaTeX (π, ², √, **), and without what only says how it looks."""
    for character, latex in _PLAIN_CHARACTERS.items():
        text = text.replace(character, latex)
    text = _SUPERSCRIPTS.sub(lambda m: f"^{{{m[0].translate(_PLAIN_DIGITS)}}}", text)
    return _NOISE.sub(" ", _LOGARITHM.sub(r"\\log_{\1}(", text.replace("**", "^"))).strip()


class Cursor:
    """Where in a text the reading stands, and its next piece: a command, a run of letters, a number or a sign."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.in_list = False
        """There a comma parts items, elsewhere thousands."""
        self.factors: list[str] = []
        """What is left of a run of letters that was split."""

    def peek(self) -> str:
        """The next piece, which stays; empty at the end."""
        if self.factors:
            return self.factors[0]
        match = _TOKEN.match(self.text, self.at)
        return match[1] if match else ""

    def next(self) -> str:
        """Take the next piece.

        Raises:
            UnreadableError: there is none.
        """
        if self.factors:
            return self.factors.pop(0)
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise UnreadableError(f"{self.text!r} ends early")
        self.at = match.end()
        return match[1]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what a pattern matches here, if it does."""
        found = None if self.factors else pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def expect(self, piece: str) -> None:
        """Take this piece.

        Raises:
            UnreadableError: another one comes.
        """
        if (found := self.next()) != piece:
            raise UnreadableError(f"{self.text!r}: {found!r} for {piece!r}")
