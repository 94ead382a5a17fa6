r"""Do two formulas have the same value wherever both have one? Compared at many points, to fifty digits and more.

Two values are equal where they agree in half of the digits that they were computed to; no tolerance is fixed, so
1/2^{98} is not 1/2^{99}. Only a decimal of six digits or more may be the rounding of what has no last digit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from mpmath import mp

from mlpo.formulas.decimals import ends, places_of_rounding, rounds
from mlpo.formulas.tree import Formula, holds, symbols_of
from mlpo.formulas.value import MAX_DIGITS, MIN_DIGITS, Evaluation, UndefinedError, Value

NUM_POINTS = 28
MIN_POINTS = 6
"""At fewer points nothing is said of a formula with symbols."""
SCALES = (1, 3, Fraction(1, 2), 10, Fraction(9, 10), 40)
"""Points lie in different sizes, so that roots, logarithms and inverse functions are defined at some of them."""


def same_value(a: Formula, b: Formula) -> bool:
    """One value, infinite or not; a decimal with digits enough may be the other's rounding."""
    if infinite := [_infinite(x) for x in (a, b) if _infinite(x)]:
        return len(infinite) == 2 and infinite[0] == infinite[1]
    for x, y in ((a, b), (b, a)):
        if places := _decimal_places(x):
            return _same_number(x, y) or _is_rounding_of(x, places, y)
    return _same_number(a, b)


def _same_number(a: Formula, b: Formula) -> bool:
    return agree(a, b, lambda x, y, eps: abs(x - y) <= eps * max(abs(x), abs(y)))


def _infinite(a: Formula) -> str:
    sign = ""
    while a.head == "minus" or (a.head == "plus" and len(a.args) == 1):
        sign, a = ("" if sign else "-") if a.head == "minus" else sign, a.args[0]
    return f"{sign}inf" if a.head == "infinity" else ""


def _decimal_places(a: Formula) -> int:
    """Of 0.333333, with so many digits that it may be a rounding; else 0."""
    while a.head == "minus":
        a = a.args[0]
    return places_of_rounding(a.name) if a.head == "number" else 0


def _is_rounding_of(decimal: Formula, places: int, other: Formula) -> bool:
    if symbols_of(other) or holds(other, "decimal") or _has_last_digit(other):
        return False
    last = Fraction(1, 10**places)
    return agree(decimal, other, lambda x, y, _: rounds(x, y, mp.mpf(last.numerator) / last.denominator))


def _has_last_digit(a: Formula) -> bool:
    """Is it a sum, product or quotient of numbers that ends as a decimal, like 1/8?"""
    value = _exact(a)
    return value is not None and ends(value)


def _exact(a: Formula) -> Fraction | None:
    if a.head == "number":
        return a.value
    parts = [_exact(part) for part in a.args]
    if not parts or any(part is None for part in parts):
        return None
    x, *rest = [part for part in parts if part is not None]
    if a.head == "minus":
        return -x
    if a.head == "plus":
        return sum(rest, x)
    if a.head == "times":
        return x * rest[0]
    if a.head == "over" and rest[0]:
        return x / rest[0]
    if a.head == "power" and rest[0].denominator == 1 and abs(rest[0]) <= 1000 and (x or rest[0] >= 0):
        return x ** int(rest[0])
    return None


def proportional(a: Formula, b: Formula, *, positive: bool) -> bool:
    """Is a / b the same number, not 0, everywhere?"""
    ratios: list[Value] = []

    def same_ratio(x: Value, y: Value, eps: Value) -> bool:
        if abs(x) == 0 or abs(y) == 0:
            return bool(abs(x) == abs(y))
        ratios.append(x / y)
        return bool(abs(ratios[-1] - ratios[0]) <= eps * abs(ratios[0]))

    return (
        symbols_of(a) == symbols_of(b) != ()
        and agree(a, b, same_ratio)
        and bool(ratios)
        and not (positive and mp.re(ratios[0]) < 0)
    )


def is_whole(a: Formula) -> bool:
    return agree(a, a, lambda x, _, eps: abs(x - mp.nint(mp.re(x))) <= eps * max(1, abs(x)))


def agree(a: Formula, b: Formula, alike: Callable[[Value, Value, Value], bool]) -> bool:
    """Are the two alike at every point where both have a value? Real values count, complex ones where none is real."""
    names = sorted({*symbols_of(a), *symbols_of(b)})
    complex_ones = holds(a, "i") or holds(b, "i")
    for real in (False,) if complex_ones else (True, False):
        seen = 0
        for point in _points(names):
            try:
                x, y, eps = _values(a, b, point, real=real)
            except UndefinedError:
                continue
            seen += 1
            if not alike(x, y, eps):
                return False
        if seen >= (MIN_POINTS if names else 1):
            return True
    return False


def _points(names: Sequence[str]) -> Iterator[dict[str, Fraction]]:
    """The same points for the same symbols, of both signs and different sizes, the first ones positive."""
    rng = random.Random("points")
    for trial in range(NUM_POINTS if names else 1):
        signs = [1 if trial % 4 < 2 else rng.choice((-1, 1)) for _ in names]
        scale = SCALES[trial % len(SCALES)]
        yield {
            name: sign * scale * Fraction(rng.randrange(10**5, 10**6), 999_983)
            for name, sign in zip(names, signs, strict=True)
        }


def _values(a: Formula, b: Formula, point: dict[str, Fraction], *, real: bool) -> tuple[Value, Value, Value]:
    """Both values, and how near equal ones are to each other.

    Raises:
        UndefinedError: one has no value, or it takes too many digits.
    """
    digits = MIN_DIGITS
    while True:
        with mp.workdps(digits):
            evaluation = Evaluation(point, real=real)
            values = evaluation.of(a), evaluation.of(b)
            needed = evaluation.digits_needed
            if needed <= digits:
                return *values, mp.mpf(10) ** (-digits // 2)
        if needed > MAX_DIGITS:
            raise UndefinedError("too many digits")
        digits = needed + 10
