"""Names in a formula: functions, Greek letters, and which runs of letters are products of symbols."""

from __future__ import annotations

import re

FUNCTIONS = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "asin", "acos",
    "atan", "ln", "log", "lg", "exp", "abs", "floor", "ceil", "sqrt", "cbrt", "max", "min", "gcd", "lcm", "sgn",
    "sign", "Abs",
})  # fmt: skip
GREEK = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega", "ell", "emptyset", "varnothing",
})  # fmt: skip
INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_SHORT_WORDS = frozenset(
    ["no", "on", "yes", "odd", "and", "or", "not", "mod", "if", "of", "in", "at", "to", "per", "red", "one", "two"]
)
"""No products of symbols."""


def factors_of(run: str) -> list[str]:
    """The factors that a run of letters is: pir is pi and r, xsin is x and sin; none where it is a word."""
    if run in FUNCTIONS or run in GREEK or run in ("pi", "inf", "infinity", "oo"):
        return [run]
    ends = next((name for name in sorted(FUNCTIONS, key=len, reverse=True) if run.endswith(name)), "")
    if ends and len(run) - len(ends) <= 2:
        return [*factors_of(run[: -len(ends)]), ends]
    if run.startswith("pi") and len(run) <= 4:
        return ["pi", *run[2:]]
    if run.endswith("pi") and len(run) == 3:
        return [run[0], "pi"]
    return list(run) if len(run) <= 3 and run.lower() not in _SHORT_WORDS else []


def is_symbols(words: str) -> bool:
    """May it be a product of symbols or the name of something: x, xy, ab c, pi?"""
    return all(
        w in FUNCTIONS | GREEK | {"pi", "inf", "infinity", "oo"} or len(factors_of(w)) > 0
        for w in re.split(r"[ '.-]+", words)
        if w
    )
