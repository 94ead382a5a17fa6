"""What a formula says of a symbol, and one form for what can be written in several: signs, estimates, solutions."""

from __future__ import annotations

from mlpo.formulas.agree import agree, same_value
from mlpo.formulas.tree import Formula, UnreadableError, parts_of, symbols_of
from mlpo.formulas.value import Value


def without_estimate(a: Formula) -> Formula:
    """2 sqrt 2, of "2 sqrt 2 ≈ 2.83"."""
    if a.head != "relation" or "~" not in a.name.split():
        return a
    signs = a.name.split()
    if signs[-1] != "~" or signs.count("~") > 1:
        raise UnreadableError("an estimate of an estimate")
    if symbols_of(a.args[-1]) or not agree(a.args[-2], a.args[-1], _near):
        raise UnreadableError("an estimate of something else")
    args, signs = a.args[:-1], signs[:-1]
    return Formula("relation", args, " ".join(signs)) if signs else args[0]


def _near(x: Value, y: Value, _: Value) -> bool:
    return bool(abs(x - y) * 100 <= abs(x))


def signs_chosen(a: Formula) -> Formula:
    """1 ± 2 as a list of both, also as an item of a list; a ± and a ∓ of one item are chosen together."""
    if a.head in ("list", "set"):
        items = [item for part in a.args for item in _both_signs(part)]
        return Formula(a.head, tuple(items), a.name)
    both = _both_signs(a)
    return both[0] if len(both) == 1 else Formula("list", tuple(both))


def _both_signs(a: Formula) -> list[Formula]:
    if not any(part.head in ("pm", "mp") for part in parts_of(a)):
        return [a]
    return [_with_sign(a, sign) for sign in (1, -1)]


def _with_sign(a: Formula, sign: int) -> Formula:
    args = tuple(_with_sign(part, sign) for part in a.args)
    if a.head in ("pm", "mp"):
        return Formula("minus", args) if (sign > 0) == (a.head == "mp") else args[0]
    return a._replace(args=args)


def solved(a: Formula) -> Formula:
    """x = 1 or x = 2 as the list of x = 1, x = 2; n = 1, 2, 3 as that of n = 1, n = 2, n = 3."""
    if a.head == "or":
        parts = [signs_chosen(part) for part in a.args]
        if all(named_value(part) for part in parts):
            return Formula("list", tuple(parts))
        sets = [as_set(part) for part in parts]
        if all(found and found[1].head in ("tuple", "union") for found in sets):
            names = {found[0] for found in sets if found}
            if len(names) == 1:
                return Formula("relation", (
                    Formula("symbol", name=names.pop()), Formula("union", tuple(found[1] for found in sets if found)),
                ), "in")  # fmt: skip
        return Formula("or", tuple(parts))
    if a.head == "list":
        first = named_value(a.args[0])
        if first and not any(part.head == "relation" for part in a.args[1:]):
            symbol = a.args[0].args[0]
            rest = [Formula("relation", (symbol, part), "=") for part in a.args[1:] if part.head != "dots"]
            if len(rest) == len(a.args) - 1:
                return Formula("list", (a.args[0], *rest))
    return a


def named_value(part: Formula) -> tuple[str, Formula] | None:
    """The symbol and the value of x = 5."""
    if part.head == "relation" and part.name == "=" and part.args[0].head == "symbol":
        return part.args[0].name, part.args[1]
    return None


def as_set(a: Formula) -> tuple[str, Formula] | None:
    """What a symbol is in, by its name: of 0 < x < 2 the interval (0, 2), of x = 5 the 5; a value has no name."""
    if a.head != "relation":
        return "", a
    signs, args = a.name.split(), a.args
    if signs[-1] in ("=", "in") and args[0].head == "symbol" and set(signs) <= {"=", "in"}:
        if len(args) > 2 and not all(_alike(args[-1], other) for other in args[1:-1]):  # x = 4 = 5
            return None
        return args[0].name, args[-1]
    if set(signs) == {"="} and all(_alike(args[0], other) for other in args[1:]):  # 1 + 1 = 2
        return "", args[-1]
    return _interval(a)


_TURNED = {">": "<", ">=": "<="}


def _interval(a: Formula) -> tuple[str, Formula] | None:
    """Of 0 < x <= 2 and of 2 >= x > 0 the (0, 2] and the x."""
    args, signs = a.args, a.name.split()
    if signs == ["!="] and args[0].head == "symbol":  # all but one
        low, high = Formula("minus", (Formula("infinity"),)), Formula("infinity")
        rays = Formula("tuple", (low, args[1]), "()"), Formula("tuple", (args[1], high), "()")
        return args[0].name, Formula("union", rays)
    if signs[0] in (">", ">="):
        args, signs = args[::-1], [_TURNED.get(sign, "") for sign in signs[::-1]]
    if not set(signs) <= {"<", "<="}:
        return None
    infinity = Formula("infinity")
    if len(args) == 2 and args[0].head == "symbol":
        args, signs = (Formula("minus", (infinity,)), *args), ["<", *signs]
    elif len(args) == 2:
        args, signs = (*args, infinity), [*signs, "<"]
    if len(args) != 3 or args[1].head != "symbol":
        return None
    brackets = ("(" if signs[0] == "<" else "[") + (")" if signs[1] == "<" else "]")
    return args[1].name, Formula("tuple", (args[0], args[2]), brackets)


def _alike(a: Formula, b: Formula) -> bool:
    return a == b or same_value(a, b)
