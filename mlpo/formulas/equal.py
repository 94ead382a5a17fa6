"""Do two formulas say the same? Sets are compared in any order, tuples in theirs, relations by what they allow."""

from __future__ import annotations

from collections.abc import Sequence

from mlpo.formulas.agree import is_whole, proportional, same_value
from mlpo.formulas.read import read
from mlpo.formulas.rewrite import as_set, named_value, signs_chosen, solved, without_estimate
from mlpo.formulas.tree import Formula, UnreadableError, holds, symbols_of


def equal(answer: str, target: str) -> bool:
    """Do two formulas, LaTeX or plain, mean the same? What cannot be read whole is equal to nothing.

    >>> equal("1+x^2", "x*x + 1"), equal("\\\\frac{1}{2^{98}}", "\\\\frac{1}{2^{99}}")
    (True, False)
    """
    try:
        a, b = (solved(signs_chosen(without_estimate(read(text)))) for text in (answer, target))
        return _same(a, b)
    except (UnreadableError, RecursionError):
        return False


def _same(a: Formula, b: Formula) -> bool:
    """Both trees as they stand; then without the name of what is solved for; then as sets of numbers."""
    if a == b and not holds(a, "degree"):
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
        if not same_value(n, m):
            return False
        difference = Formula("over", (Formula("plus", (x, Formula("minus", (y,)))), n))
        return is_whole(difference) if not symbols_of(difference) else _same(x, y)
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
            named = [found for part in pairs.args if (found := named_value(part))]
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
    first, second = ({found[0] for part in side if (found := named_value(part))} for side in parts)
    if first != second and not (first and second):
        if len(first | second) > 1:  # whose are they?
            return False
        parts = [[(named_value(part) or ("", part))[1] for part in side] for side in parts]
    return _same_set(*parts)


def _same_relations(a: Formula, b: Formula) -> bool:
    if a.head == b.head == "relation" and _same_links(a, b):
        return True
    first, second = as_set(a), as_set(b)
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
    return proportional(a[0], b[0], positive=a[1] in ("<", "<="))


def _same_measures(a: Formula, b: Formula) -> bool:
    """Values with or without a unit: a unit that only one side has is taken for understood."""
    if {a.head, b.head} & {"percent", "degree"} and a.head != b.head:
        bare = [x.args[0] if x.head in ("percent", "degree") else x for x in (a, b)]
        return (not {"unit", "base"} & {x.head for x in bare} and same_value(*bare)) or same_value(a, b)
    units = [x.name for x in (a, b) if x.head == "unit"]
    if units and len(set(units)) == len(units) == 2:
        return False
    if "base" in (a.head, b.head):
        bases = {x.name for x in (a, b) if x.head == "base"}
        digits = [x.args[0] if x.head == "base" else x for x in (a, b)]
        return len(bases) == 1 and all(x.head == "number" and x.name for x in digits) and digits[0] == digits[1]
    return same_value(*(x.args[0] if x.head == "unit" else x for x in (a, b)))


def _same_ratios(a: Formula, b: Formula) -> bool:
    parts = [x.args if x.head == "ratio" else (x,) for x in (a, b)]
    if any(part.head == "dots" for side in parts for part in side):
        return _same_in_order(*parts)
    if {len(side) for side in parts} == {1, 2}:  # 1:2 and 1/2
        return same_value(*(Formula("over", side) if len(side) == 2 else side[0] for side in parts))
    if len(parts[0]) != len(parts[1]):
        return False
    if all(_may_be_a_time(x.name) for x in (a, b)):
        return _same_in_order(*parts)
    (first, *rest), (other_first, *others) = parts
    return all(
        same_value(Formula("times", (first, y)), Formula("times", (other_first, x)))
        for x, y in zip(rest, others, strict=True)
    )


def _may_be_a_time(written: str) -> bool:
    hours, _, minutes = written.partition(":")
    return hours.isdecimal() and minutes.isdecimal() and len(hours) <= 2 and len(minutes) == 2 and int(minutes) < 60


def _value_side(a: Formula) -> Formula:
    return a.args[-1] if a.head == "relation" and set(a.name.split()) <= {"=", "≡"} else a
