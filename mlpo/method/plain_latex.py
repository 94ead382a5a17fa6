"""LaTeX and Markdown as plain text: without what only says how it looks."""

from __future__ import annotations

import re

MINUS_SIGNS = str.maketrans("−–", "--")
_LATEX_FRACTION = re.compile(r"(?:([0-9])\s*)?\\frac\s*\{\s*([0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}")
_SHORT_FRACTION = re.compile(r"\\frac\s*+(?:\{\s*+([0-9]++)\s*+\}|([0-9]))\s*+(?:\{\s*+([0-9]++)\s*+\}|([0-9]))")
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
_LATEX_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mathrm|mathbf|mbox|emph)\s*\{([^{}]*)\}")
_SHORT_UNIT = re.compile(r"\s*(?:[mgshlLJNWVKCAF]|[a-z]{1,3} ?/ ?[a-z]{1,3})\s*")
"""Read as a unit only where it is marked as a text: 5\\text{ m} is not 5 times m."""


def plain_latex(text: str) -> str:
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\%", "%").replace("\\$", "")
    text = _NO_THOUSANDS.sub(" ", text)
    text = _LATEX_NOISE.sub("", _TIMES.sub("*", unwrapped(text))).translate(MINUS_SIGNS)
    return _STARS.sub(lambda m: "" if m["markup"] else m[0], text).strip()


def unwrapped(text: str) -> str:
    r"""Texts without their command, but for the short unit of a value: 5\text{ m}."""

    def plain(match: re.Match[str]) -> str:
        before = match.string[: match.start()].rstrip(" \\,!;:~")[-1:]
        if _SHORT_UNIT.fullmatch(match[1]) and (before.isdigit() or before in tuple("})")):
            return f"\\text{{{''.join(match[1].split())}}}"
        return f" {match[1]} "

    return _LATEX_TEXT.sub(plain, text)


def plain_fractions(text: str) -> str:
    r"""2\frac{1}{3} -> 2 1/3, \frac12 -> 1/2."""
    text = _SHORT_FRACTION.sub(lambda m: f"\\frac{{{m[1] or m[2]}}}{{{m[3] or m[4]}}}", text)
    return _LATEX_FRACTION.sub(lambda m: f"{m[1]} {m[2]}/{m[3]}" if m[1] else f"{m[2]}/{m[3]}", text)
