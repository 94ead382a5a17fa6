"""Decimals: which numbers end as one, and when one is the rounding of a number that does not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

ROUNDED_DIGITS = 6
"""0.333333 is 1/3, 0.33333 is not."""
POWERS_OF_TEN = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}


def ends(value: Fraction) -> bool:
    """Has it a last digit, as 1/8 has and 1/3 has not?"""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


def places_of_rounding(written: str) -> int:
    """The places after the point of a decimal that has digits enough to be a rounding; else 0."""
    whole, _, after = written.lstrip("-").partition(".")
    digits = (whole + after).lstrip("0")
    return len(after) if digits.isdecimal() and len(digits) >= ROUNDED_DIGITS else 0


def rounds(decimal: Any, exact: Any, last: Any) -> bool:
    """Is the decimal the exact number rounded, or cut off, at its last place, which is worth `last`?"""
    return bool(abs(decimal - exact) * 2 <= last or abs(decimal) < abs(exact) < abs(decimal) + last)
