r"""Do two formulas say the same? Values are compared at many points, sets without their order, tuples in theirs.

Two values are equal where they agree in half of the digits that they were computed to, fifty or more; no tolerance is
fixed, so 1/2^{98} is not 1/2^{99}. Only a decimal of six digits or more may be the rounding of what has no last digit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from mpmath import mp

from mlpo.formulas.read import Formula, UnreadableError, read
from mlpo.formulas.value import MAX_DIGITS, MIN_DIGITS, Evaluation, UndefinedError, Value

NUM_POINTS = 28
MIN_POINTS = 6
"""At fewer points nothing is said of a formula with symbols."""
ROUNDED_DIGITS = 6
"""0.333333 is 1/3, 0.33333 is not."""
_TURNED = {">": "<", ">=": "<="}
SCALES = (1, 3, Fraction(1, 2), 10, Fraction(9, 10), 40)
"""Points lie in different sizes, so that roots, logarithms and inverse functions are defined at some of them."""


def equal(answer: str, target: str) -> bool:
    """Do two formulas, LaTeX or plain, mean the same? What cannot be read whole is equal to nothing.

    >>> equal("1+x^2", "x*x + 1"), equal("\\\\frac{1}{2^{98}}", "\\\\frac{1}{2^{99}}")
    (True, False)
    """
    try:
        a, b = (_solved(_signs_chosen(_without_estimate(read(text)))) for text in (answer, target))
        return _same(a, b)
    except (UnreadableError, RecursionError):
        return False


def _same(a: Formula, b: Formula) -> bool:
    """Both trees as they stand; then without the name of what is solved for; then as sets of numbers."""
    if a == b and not _holds(a, "degree"):
        return True
    if {a.head, b.head} & {"text", "dots", "row", "or", "mod"}:
        return a.head == b.head and _same_special(a, b)
    if "relation" in (a.head, b.head):
        return _same_relations(a, b)
    if {a.head, b.head} & {"union"}:
        return a.head == b.head and _same_set(a.args, b.args)
    if {a.head, b.head} & {"list", "set", "tuple", "matrix"}:
        return _same_collections(a, b)
    if "ratio" in (a.head, b.head):
        return _same_ratios(a, b)
    return _same_measures(a, b)


def _same_special(a: Formula, b: Formula) -> bool:
    if a.head == "mod":
        (x, n), (y, m) = a.args, b.args
        x, y = _value_side(x), _value_side(y)
        if not _same_scalar(n, m):
            return False
        difference = Formula("over", (Formula("plus", (x, Formula("minus", (y,)))), n))
        return _is_whole(difference) if not _symbols(difference) else _same(x, y)
    if a.head == "or":
        return _same_set(a.args, b.args)
    if a.head == "row":
        return _same_in_order(a.args, b.args)
    return a == b


def _same_in_order(a: Sequence[Formula], b: Sequence[Formula]) -> bool:
    return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))


def _same_set(a: Sequence[Formula], b: Sequence[Formula]) -> bool:
    """Each of one is one of the other, as often."""
    if len(a) != len(b):
        return False
    left = list(b)
    for x in a:
        found = next((at for at, y in enumerate(left) if _same(x, y)), None)
        if found is None:
            return False
        del left[found]
    return True


def _distinct(parts: Sequence[Formula]) -> list[Formula]:
    found: list[Formula] = []
    for part in parts:
        if not any(_same(part, other) for other in found):
            found.append(part)
    return found


def _same_collections(a: Formula, b: Formula) -> bool:
    if "matrix" in (a.head, b.head):
        return a.head == b.head and _same_in_order(a.args, b.args)
    if "tuple" in (a.head, b.head):
        if {a.head, b.head} == {"tuple", "list"}:  # x = 1, y = 2 is the point (1, 2)
            pairs, point = (a, b) if a.head == "list" else (b, a)
            named = [found for part in pairs.args if (found := _named(part))]
            names = [name for name, _ in named]
            if point.name != "()" or names != sorted(set(names)) or len(named) < len(pairs.args):
                return False
            return _same_in_order([value for _, value in named], point.args)
        return a.head == b.head and a.name == b.name and _same_in_order(a.args, b.args)
    parts = [list(x.args) if x.head in ("list", "set") else [x] for x in (a, b)]
    if any(part.head == "dots" for side in parts for part in side):
        return _same_in_order(*parts)
    if "set" in (a.head, b.head):
        parts = [_distinct(side) for side in parts]
    first, second = ({found[0] for part in side if (found := _named(part))} for side in parts)
    if first != second and not (first and second):
        if len(first | second) > 1:  # whose are they?
            return False
        parts = [[(_named(part) or ("", part))[1] for part in side] for side in parts]
    return _same_set(*parts)


def _named(part: Formula) -> tuple[str, Formula] | None:
    """The symbol and the value of x = 5."""
    if part.head == "relation" and part.name == "=" and part.args[0].head == "symbol":
        return part.args[0].name, part.args[1]
    return None


# relations


def _same_relations(a: Formula, b: Formula) -> bool:
    if a.head == b.head == "relation" and _same_links(a, b):
        return True
    first, second = _as_set(a), _as_set(b)
    if first is None or second is None:
        return False
    (name, x), (other, y) = first, second
    return (not name or not other or name == other) and "relation" not in (x.head, y.head) and _same(x, y)


def _same_links(a: Formula, b: Formula) -> bool:
    """Every link of a chain, 0 < x < 2, is a link of the other, whatever its side and its factor."""
    links = [_links(chain) for chain in (a, b)]
    if len(links[0]) != len(links[1]):
        return False
    left = list(links[1])
    for link in links[0]:
        found = next((other for other in left if _same_link(link, other)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _links(chain: Formula) -> list[tuple[Formula, str]]:
    """0 < x < 2 as "0 - x" and "x - 2", both below zero."""
    found = []
    for left, sign, right in zip(chain.args, chain.name.split(), chain.args[1:], strict=False):
        if sign in (">", ">="):
            left, right, sign = right, left, sign.replace(">", "<")
        found.append((Formula("plus", (left, Formula("minus", (right,)))), sign))
    return found


def _same_link(a: tuple[Formula, str], b: tuple[Formula, str]) -> bool:
    if a[1] != b[1] or a[1] not in ("=", "<", "<=", "!="):
        return False
    return _proportional(a[0], b[0], positive=a[1] in ("<", "<="))


def _as_set(a: Formula) -> tuple[str, Formula] | None:
    """What a symbol is in, by its name: of 0 < x < 2 the interval (0, 2), of x = 5 the 5; a value has no name."""
    if a.head != "relation":
        return "", a
    signs, args = a.name.split(), a.args
    if signs[-1] in ("=", "in") and args[0].head == "symbol" and set(signs) <= {"=", "in"}:
        if len(args) > 2 and not all(_same(args[-1], other) for other in args[1:-1]):  # x = 4 = 5
            return None
        return args[0].name, args[-1]
    if set(signs) == {"="} and all(_same(args[0], other) for other in args[1:]):  # 1 + 1 = 2
        return "", args[-1]
    return _interval(a)


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


# values


def _same_measures(a: Formula, b: Formula) -> bool:
    """Values with or without a unit: a unit that only one side has is taken for understood."""
    if {a.head, b.head} & {"percent", "degree"} and a.head != b.head:
        bare = [x.args[0] if x.head in ("percent", "degree") else x for x in (a, b)]
        return (not {"unit", "base"} & {x.head for x in bare} and _same_scalar(*bare)) or _same_scalar(a, b)
    units = [x.name for x in (a, b) if x.head == "unit"]
    if units and len(set(units)) == len(units) == 2:
        return False
    if "base" in (a.head, b.head):
        bases = {x.name for x in (a, b) if x.head == "base"}
        digits = [x.args[0] if x.head == "base" else x for x in (a, b)]
        return len(bases) == 1 and all(x.head == "number" and x.name for x in digits) and digits[0] == digits[1]
    return _same_scalar(*(x.args[0] if x.head == "unit" else x for x in (a, b)))


def _same_ratios(a: Formula, b: Formula) -> bool:
    parts = [x.args if x.head == "ratio" else (x,) for x in (a, b)]
    if any(part.head == "dots" for side in parts for part in side):
        return _same_in_order(*parts)
    if {len(side) for side in parts} == {1, 2}:  # 1:2 and 1/2
        return _same_scalar(*(Formula("over", side) if len(side) == 2 else side[0] for side in parts))
    if len(parts[0]) != len(parts[1]):
        return False
    if all(_may_be_a_time(x.name) for x in (a, b)):
        return _same_in_order(*parts)
    (first, *rest), (other_first, *others) = parts
    return all(
        _same_scalar(Formula("times", (first, y)), Formula("times", (other_first, x)))
        for x, y in zip(rest, others, strict=True)
    )


def _may_be_a_time(written: str) -> bool:
    hours, _, minutes = written.partition(":")
    return hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2 and int(minutes) < 60


def _same_scalar(a: Formula, b: Formula) -> bool:
    if infinite := [_infinite(x) for x in (a, b) if _infinite(x)]:
        return len(infinite) == 2 and infinite[0] == infinite[1]
    for x, y in ((a, b), (b, a)):
        if places := _decimal_places(x):
            return _same_number(x, y) or _is_rounding_of(x, places, y)
    return _agree(a, b, lambda x, y, eps: abs(x - y) <= eps * max(abs(x), abs(y)))


def _same_number(a: Formula, b: Formula) -> bool:
    return _agree(a, b, lambda x, y, eps: abs(x - y) <= eps * max(abs(x), abs(y)))


def _infinite(a: Formula) -> str:
    sign = ""
    while a.head == "minus" or (a.head == "plus" and len(a.args) == 1):
        sign, a = ("" if sign else "-") if a.head == "minus" else sign, a.args[0]
    return f"{sign}inf" if a.head == "infinity" else ""


def _decimal_places(a: Formula) -> int:
    """Of 0.333333, with so many digits that it may be a rounding; else 0."""
    while a.head == "minus":
        a = a.args[0]
    digits = a.name.lower().partition("e")[0].replace(".", "").lstrip("0")
    if a.head == "number" and "." in a.name and "e" not in a.name.lower() and len(digits) >= ROUNDED_DIGITS:
        return len(a.name.partition(".")[2])
    return 0


def _is_rounding_of(decimal: Formula, places: int, other: Formula) -> bool:
    if _symbols(other) or _holds(other, "decimal") or _has_last_digit(other):
        return False
    last = Fraction(1, 10**places)
    return _agree(decimal, other, lambda x, y, _: rounds(x, y, mp.mpf(last.numerator) / last.denominator))


def rounds(decimal: Value, exact: Value, last: Value) -> bool:
    """Is the decimal the other one rounded, or cut off, at its last place?"""
    return bool(abs(decimal - exact) * 2 <= last or (abs(decimal) < abs(exact) < abs(decimal) + last))


def _has_last_digit(a: Formula) -> bool:
    """Is it a sum, product or quotient of numbers that ends as a decimal, like 1/8?"""
    value = _exact(a)
    if value is None:
        return False
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


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


def _proportional(a: Formula, b: Formula, *, positive: bool) -> bool:
    """Is a / b the same number, not 0, everywhere?"""
    ratios: list[Value] = []

    def same_ratio(x: Value, y: Value, eps: Value) -> bool:
        if abs(x) == 0 or abs(y) == 0:
            return bool(abs(x) == abs(y))
        ratios.append(x / y)
        return bool(abs(ratios[-1] - ratios[0]) <= eps * abs(ratios[0]))

    return (
        _symbols(a) == _symbols(b) != ()
        and _agree(a, b, same_ratio)
        and bool(ratios)
        and not (positive and mp.re(ratios[0]) < 0)
    )


def _is_whole(a: Formula) -> bool:
    return _agree(a, a, lambda x, _, eps: abs(x - mp.nint(mp.re(x))) <= eps * max(1, abs(x)))


def _agree(a: Formula, b: Formula, alike: Callable[[Value, Value, Value], bool]) -> bool:
    """Are the two alike at every point where both have a value? Real values count, complex ones where none is real."""
    names = sorted({*_symbols(a), *_symbols(b)})
    complex_ones = _holds(a, "i") or _holds(b, "i")
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


# trees


def _parts(a: Formula) -> Iterator[Formula]:
    yield a
    for part in a.args:
        yield from _parts(part)


def _symbols(a: Formula) -> tuple[str, ...]:
    return tuple(sorted({part.name for part in _parts(a) if part.head == "symbol"}))


def _holds(a: Formula, what: str) -> bool:
    """A degree, a decimal, or the imaginary unit."""
    if what == "decimal":
        return any(part.head == "number" and "." in part.name for part in _parts(a))
    return any(part.head == what or (part.head == "constant" and part.name == what) for part in _parts(a))


def _value_side(a: Formula) -> Formula:
    return a.args[-1] if a.head == "relation" and set(a.name.split()) <= {"=", "≡"} else a


def _without_estimate(a: Formula) -> Formula:
    """2 sqrt 2, of "2 sqrt 2 ≈ 2.83"."""
    if a.head != "relation" or "~" not in a.name.split():
        return a
    signs = a.name.split()
    if signs[-1] != "~" or signs.count("~") > 1:
        raise UnreadableError("an estimate of an estimate")
    if _symbols(a.args[-1]) or not _agree(a.args[-2], a.args[-1], _near):
        raise UnreadableError("an estimate of something else")
    args, signs = a.args[:-1], signs[:-1]
    return Formula("relation", args, " ".join(signs)) if signs else args[0]


def _near(x: Value, y: Value, _: Value) -> bool:
    return bool(abs(x - y) * 100 <= abs(x))


def _signs_chosen(a: Formula) -> Formula:
    """1 ± 2 as a list of both, also as an item of a list; a ± and a ∓ of one item are chosen together."""
    if a.head in ("list", "set"):
        items = [item for part in a.args for item in _both_signs(part)]
        return Formula(a.head, tuple(items), a.name)
    both = _both_signs(a)
    return both[0] if len(both) == 1 else Formula("list", tuple(both))


def _both_signs(a: Formula) -> list[Formula]:
    if not any(part.head in ("pm", "mp") for part in _parts(a)):
        return [a]
    return [_with_sign(a, sign) for sign in (1, -1)]


def _with_sign(a: Formula, sign: int) -> Formula:
    args = tuple(_with_sign(part, sign) for part in a.args)
    if a.head in ("pm", "mp"):
        return Formula("minus", args) if (sign > 0) == (a.head == "mp") else args[0]
    return a._replace(args=args)


def _solved(a: Formula) -> Formula:
    """x = 1 or x = 2 as the list of x = 1, x = 2; n = 1, 2, 3 as that of n = 1, n = 2, n = 3."""
    if a.head == "or":
        parts = [_signs_chosen(part) for part in a.args]
        if all(_named(part) for part in parts):
            return Formula("list", tuple(parts))
        sets = [_as_set(part) for part in parts]
        if all(found and found[1].head in ("tuple", "union") for found in sets):
            names = {found[0] for found in sets if found}
            if len(names) == 1:
                return Formula("relation", (
                    Formula("symbol", name=names.pop()), Formula("union", tuple(found[1] for found in sets if found)),
                ), "in")  # fmt: skip
        return Formula("or", tuple(parts))
    if a.head == "list":
        first = _named(a.args[0])
        if first and not any(part.head == "relation" for part in a.args[1:]):
            symbol = a.args[0].args[0]
            rest = [Formula("relation", (symbol, part), "=") for part in a.args[1:] if part.head != "dots"]
            if len(rest) == len(a.args) - 1:
                return Formula("list", (a.args[0], *rest))
    return a
