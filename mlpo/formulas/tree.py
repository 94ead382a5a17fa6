"""A formula as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple


class UnreadableError(ValueError):
    """The text is no formula."""


class Formula(NamedTuple):
    """A node: what it is (`head`), its parts, and what is written in it (a name, a unit, the signs of a relation)."""

    head: str
    args: tuple[Formula, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


def number(value: Fraction | int) -> Formula:
    """The tree of a number."""
    return Formula("number", value=Fraction(value))


def parts_of(a: Formula) -> Iterator[Formula]:
    """The formula and all that it is made of."""
    yield a
    for part in a.args:
        yield from parts_of(part)


def symbols_of(a: Formula) -> tuple[str, ...]:
    """The names of its symbols, sorted, each once."""
    return tuple(sorted({part.name for part in parts_of(a) if part.head == "symbol"}))


def holds(a: Formula, what: str) -> bool:
    """Does some part have this head, or is this constant? "decimal" is a number with a point."""
    if what == "decimal":
        return any(part.head == "number" and "." in part.name for part in parts_of(a))
    return any(part.head == what or (part.head == "constant" and part.name == what) for part in parts_of(a))
