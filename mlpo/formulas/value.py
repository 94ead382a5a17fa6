"""The value of a formula where its symbols have given values, to as many digits as its largest and smallest part need.

10^-200 beside 1 needs more than 200 digits to be seen, so the precision follows the exponents that occur on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from mpmath import mp

from mlpo.formulas.tree import Formula

MIN_DIGITS = 50
MAX_DIGITS = 40_000
"""Where more digits would be needed nothing is said."""
MAX_LOG = 1_000_000
"""Of a power: larger and smaller ones have no value here."""

Value = Any
"""mpmath's real or complex number; it has no types."""


class UndefinedError(ArithmeticError):
    """There is no value: a division by zero, a number too large, a function outside of where it is defined."""


class Evaluation:
    """`Evaluation(values).of(formula)`; `digits_needed` says afterwards how many digits would have been enough."""

    def __init__(self, values: Mapping[str, Fraction], *, real: bool) -> None:
        self.values = values
        self.real = real
        """A part that is no real number makes the whole undefined."""
        self.largest = 0

    @property
    def digits_needed(self) -> int:
        """Four times the exponents of ten that occurred, since cos(10^-30) is 10^-60 from 1, and the usual ones."""
        return MIN_DIGITS + 4 * self.largest

    def of(self, formula: Formula) -> Value:
        """The value.

        Raises:
            UndefinedError: there is none.
        """
        try:
            value = self._of(formula)
        except (ZeroDivisionError, OverflowError, ValueError, TypeError) as error:  # a TypeError orders complex values
            raise UndefinedError(str(error)) from None
        if mp.isnan(value) or mp.isinf(value):
            raise UndefinedError("not finite")
        if isinstance(value, mp.mpc) and (value.imag == 0 or abs(value.imag) < abs(value.real) * mp.eps * 1000):
            value = value.real  # what rounding left over
        if self.real and isinstance(value, mp.mpc):
            raise UndefinedError("not real")
        if value != 0:
            self.largest = max(self.largest, abs(mp.mag(value)) * 3 // 10)  # an exponent of 2
        return value

    def _of(self, formula: Formula) -> Value:
        if formula.head == "number":
            return mp.mpf(formula.value.numerator) / formula.value.denominator
        if formula.head == "symbol":
            value = self.values[formula.name]
            return mp.mpf(value.numerator) / value.denominator
        if formula.head == "constant":
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[formula.name]
        if formula.head == "call":
            return _zero_or(self._call(formula), 1)
        rule = _RULES.get(formula.head)
        if rule is None:
            raise UndefinedError(formula.head)
        parts = [self.of(part) for part in formula.args]
        value = rule(*parts)
        return _zero_or(value, max(abs(part) for part in parts)) if formula.head == "plus" else value

    def _call(self, formula: Formula) -> Value:
        parts = [self.of(part) for part in formula.args]
        if formula.name in ("max", "min", "gcd", "lcm"):
            return _of_several(formula.name, parts)
        if formula.name == "log":
            base = parts[1] if len(parts) > 1 else mp.mpf(10)
            return mp.log(parts[0]) / mp.log(base)
        if formula.name in ("sinh", "cosh", "tanh") and abs(parts[0]) < MAX_LOG:
            self.largest = max(self.largest, int(abs(parts[0])))  # of their exponentials
        if formula.name in ("tan", "cot", "sec", "csc"):
            return _quotient_of_sine_and_cosine(formula.name, parts[0])
        return _FUNCTIONS[formula.name](parts[0])


def _zero_or(value: Value, scale: Value) -> Value:
    """0 where only rounding is left of what cancels out, as in sin(pi): the digits go beyond whatever is written."""
    return value if abs(value) > scale * mp.mpf(10) ** (-mp.dps * 3 // 4) else mp.mpf(0)


def _power(base: Value, exponent: Value) -> Value:
    if base == 0:
        if mp.re(exponent) <= 0 and exponent != 0:
            raise UndefinedError("a power of zero")
        return mp.mpf(0 if exponent != 0 else 1)
    with mp.workprec(60):
        if abs(exponent * mp.log(base)) > MAX_LOG:
            raise UndefinedError("too large")
    return mp.power(base, exponent)


def _root(base: Value, index: Value) -> Value:
    if isinstance(base, mp.mpf) and base < 0 and isinstance(index, mp.mpf) and mp.isint(index) and int(index) % 2:
        return -_power(-base, 1 / index)  # the real root
    return _power(base, 1 / index)


def _factorial(of: Value) -> Value:
    if isinstance(of, mp.mpc) or abs(of) > 100_000:
        raise UndefinedError("a factorial")
    return mp.gamma(of + 1)


def _binomial(n: Value, k: Value) -> Value:
    if any(isinstance(part, mp.mpc) or abs(part) > 100_000 for part in (n, k)):
        raise UndefinedError("a binomial")
    return mp.binomial(n, k)


def _sine_argument(of: Value) -> Value:
    if abs(of) > mp.mpf(10) ** 300 or (isinstance(of, mp.mpc) and abs(of.imag) > 10_000):
        raise UndefinedError("an angle too large")
    return of


def _quotient_of_sine_and_cosine(name: str, of: Value) -> Value:
    sine, cosine = mp.sin(_sine_argument(of)), mp.cos(of)
    up, down = {"tan": (sine, cosine), "cot": (cosine, sine), "sec": (1, cosine), "csc": (1, sine)}[name]
    if abs(down) < mp.mpf(10) ** (-mp.dps // 2):
        raise UndefinedError("a pole")
    return up / down


def _of_several(name: str, parts: list[Value]) -> Value:
    if any(isinstance(part, mp.mpc) for part in parts):
        raise UndefinedError(name)
    if name in ("max", "min"):
        return max(parts) if name == "max" else min(parts)
    if not all(mp.isint(part) and abs(part) < 10**100 for part in parts):
        raise UndefinedError(name)
    whole = [int(part) for part in parts]
    return mp.mpf(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))


def _step(of: Value, rounded: Callable[[Value], Value]) -> Value:
    if isinstance(of, mp.mpc):
        raise UndefinedError("a step")
    nearest = mp.nint(of)
    return nearest if abs(of - nearest) < mp.mpf(10) ** (-mp.dps // 2) else rounded(of)


def _over(a: Value, b: Value) -> Value:
    if b == 0:
        raise UndefinedError("a division by zero")
    return a / b


def _exp(of: Value) -> Value:
    if abs(of) > MAX_LOG:
        raise UndefinedError("too large")
    return mp.exp(of)


def _log(of: Value) -> Value:
    if of == 0:
        raise UndefinedError("the logarithm of zero")
    return mp.log(of)


_RULES: dict[str, Callable[..., Value]] = {
    "plus": lambda *parts: mp.fsum(parts),
    "minus": lambda of: -of,
    "times": lambda a, b: a * b,
    "over": _over,
    "power": _power,
    "root": _root,
    "factorial": _factorial,
    "binomial": _binomial,
    "percent": lambda of: of / 100,
    "degree": lambda of: of * mp.pi / 180,
}
_FUNCTIONS: dict[str, Callable[[Value], Value]] = {
    "sin": lambda of: mp.sin(_sine_argument(of)),
    "cos": lambda of: mp.cos(_sine_argument(of)),
    "sinh": lambda of: (_exp(of) - _exp(-of)) / 2,
    "cosh": lambda of: (_exp(of) + _exp(-of)) / 2,
    "tanh": lambda of: 1 - 2 / (_exp(2 * of) + 1),
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "ln": _log,
    "lg": lambda of: _log(of) / mp.log(10),
    "exp": _exp,
    "abs": abs,
    "floor": lambda of: _step(of, mp.floor),
    "ceil": lambda of: _step(of, mp.ceil),
    "cbrt": lambda of: _root(of, mp.mpf(3)),
    "sgn": mp.sign,
    "sign": mp.sign,
}
