r"""Thousands of equal and unequal pairs, made by sympy and by rules that rewrite, so that none can be met by heart.

    MLPO_PAIRS=100000 MLPO_PAIRS_SEED=7 python -m pytest tests/formulas/test_generated_pairs.py

asks for more of each kind, from another seed (a night's size: five minutes of one core). A failure prints both seeds,
the run's and the pair's, which `pair(kind, seed)` makes again. What is equal, sympy says, other code than ours.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from decimal import Decimal
from math import gcd
from typing import NamedTuple

import pytest
import sympy
from sympy import Rational as Q

from mlpo.formulas.equal import equal
from mlpo.method.answers import is_correct, parse_plain
from mlpo.types import AnswerKind, Problem

NUM_PAIRS = int(os.environ.get("MLPO_PAIRS", "3400"))
SEED = int(os.environ.get("MLPO_PAIRS_SEED", "0"))
X, Y, R = sympy.symbols("x y r", real=True)
BOXES = (
    "\\boxed{{{}}}", "So it is $\\boxed{{{}}}$.", "The answer is ${}$.", "We add.\n\\[\n{}\n\\]", "Thus\n$$\n{}\n$$",
    "Hence:\n\\[ {} \\]\nwhich was asked.", "<answer>{}</answer>", "Final Answer: ${}$", "**Answer:** ${}$",
)  # fmt: skip


class Pair(NamedTuple):
    """A text, a target, and whether the one answers the other."""

    text: str
    target: str
    right: bool
    kind: AnswerKind = "expression"
    choices: tuple[str, ...] = ()


def latex(of: sympy.Expr) -> str:
    return str(sympy.latex(of, ln_notation=True))


def plain(of: sympy.Expr) -> str:
    """As Python writes it, with pi and sqrt(3): what a model that has no LaTeX would write."""
    return str(of).replace("**", "^").replace("log(", "ln(").replace("E", "e")


def boxed(rng: random.Random, answer: str) -> str:
    return rng.choice(BOXES).format(answer)


def fraction(rng: random.Random, top: int = 30) -> sympy.Rational:
    return Q(rng.randint(1, top), rng.randint(1, 12))


def expression(rng: random.Random, depth: int = 2) -> sympy.Expr:
    """Of x, y, numbers, roots, powers, pi and functions."""
    if depth == 0:
        return rng.choice(
            [X, Y, R, sympy.pi, sympy.Integer(rng.randint(2, 12)), fraction(rng), sympy.sqrt(rng.randint(2, 7))]
        )
    a, b = expression(rng, depth - 1), expression(rng, depth - 1)
    return rng.choice([
        lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / (b if b != 0 else 1),
        lambda: (a + 1) ** rng.randint(2, 3),
        lambda: sympy.sqrt(a**2 + rng.randint(1, 5)), lambda: sympy.exp(a / 7), lambda: sympy.sin(a),
        lambda: sympy.log(a**2 + 3),
    ])()  # fmt: skip


def differ(a: sympy.Expr, b: sympy.Expr) -> bool:
    """By sympy's own numbers, 60 digits, at a point of its own."""
    point = {X: sympy.Float("2.3", 60), Y: sympy.Float("2.2", 60), R: sympy.Float("1.4", 60)}
    first, second = (of.evalf(60, subs=point) for of in (a, b))
    return bool(abs(first - second) > sympy.Float("1e-40", 60) * (1 + abs(first)))


def notation(rng: random.Random) -> Pair:
    a = expression(rng)
    ways = [latex(a), plain(a)]
    rng.shuffle(ways)
    return Pair(boxed(rng, ways[0]), ways[1], True)


def rewritten(rng: random.Random) -> Pair:
    a = expression(rng)
    rewrite: Callable[[sympy.Expr], sympy.Expr] = rng.choice(
        [sympy.expand, sympy.together, sympy.factor, sympy.expand_log]
    )
    b = rewrite(a)
    return Pair(boxed(rng, rng.choice([latex, plain])(b)), latex(a), True)


def identity(rng: random.Random) -> Pair:
    a = expression(rng, 1)
    left, right = rng.choice([
        (sympy.sin(a) ** 2, 1 - sympy.cos(a) ** 2), (sympy.sin(2 * a), 2 * sympy.sin(a) * sympy.cos(a)),
        (sympy.exp(a + 1), sympy.E * sympy.exp(a)), (sympy.log(sympy.exp(a)), a), (sympy.cosh(a) ** 2,
        1 + sympy.sinh(a) ** 2),
    ])  # fmt: skip
    return Pair(boxed(rng, latex(left)), latex(right), True)


def changed(rng: random.Random) -> Pair:
    """One leaf of the tree is another."""
    while True:
        a = expression(rng)
        leaves = [leaf for leaf in sympy.preorder_traversal(a) if not leaf.args]
        leaf = rng.choice(leaves)
        b = a.xreplace({leaf: rng.choice([leaf + 1, -leaf, leaf * 2, leaf + Q(1, 10**9), X + Y])})
        if not b.has(sympy.zoo, sympy.nan) and b.free_symbols <= {X, Y, R} and differ(a, b):
            return Pair(boxed(rng, rng.choice([latex, plain])(b)), latex(a), False)


def tiny(rng: random.Random) -> Pair:
    n, k = rng.randint(20, 400), rng.randint(1, 3)
    base = rng.randint(2, 9)
    a, b = rng.choice([
        (f"\\frac{{1}}{{{base}^{{{n}}}}}", f"\\frac{{1}}{{{base}^{{{n + k}}}}}"),
        (f"\\frac{{1}}{{{n}!}}", f"\\frac{{1}}{{{n + k}!}}"),
        (f"\\left(\\frac{{1}}{{{base}}}\\right)^{{{n}}}", f"\\left(\\frac{{1}}{{{base}}}\\right)^{{{n - k}}}"),
        (f"10^{{-{n}}}", f"10^{{-{n + k}}}"), (f"1e-{n}", f"1e-{n + k}"), (f"x^2+10^{{-{n}}}", "x^2"),
        (f"\\sqrt{{{base}}}", f"\\sqrt{{{base}}}+{base}^{{-{n}}}"), ("1", f"1+10^{{-{n}}}"),
        (f"\\frac{{{base}^{{{n}}}+1}}{{{base}^{{{n}}}}}", "1"), (f"{base}^{{{n}}}+{k}", f"{base}^{{{n}}}"),
        (f"\\frac{{1}}{{\\binom{{{n}}}{{{n // 2}}}}}", f"\\frac{{1}}{{\\binom{{{n}}}{{{n // 2 - k}}}}}"),
        (str(10**9 + n), str(10**9 + n + k)), (f"10^{{-{n}}}x", f"10^{{-{n + k}}}x"),
    ])  # fmt: skip
    return Pair(boxed(rng, a), b, False) if rng.random() < 0.5 else Pair(boxed(rng, b), a, False)


def text_after_a_number(rng: random.Random) -> Pair:
    n, m = rng.sample(range(3, 99), 2)  # 2! is 2
    more = rng.choice([
        "\\sqrt({m})", "\\sqrt{{{m}}}", " sqrt({m})", " @ {m}", " \\mod {m}", " \\pmod{{{m}}}", " mod {m}", "\\pi",
        " pi", "x", "!",
        "^{m}", "i", " \\log {m}", "\\cdot {m}", " * {m}", "/{m}", " - {m}", "e", "\\%x", " or {m}", " # {m}",
        " & {m}", "\\ldots",
        ", {m}", " choose {m}", " squared", " or more", "π", "√{m}", "²", " \\circ {m}", "\\infty", "_{m}x", " ? {m}",
        "\\foo {m}",
        " thousand", " million", " / {m}", "({m})", " to {m}", "\\to {m}", ";{m}", "|{m}|", ":{m}", "\\sin {m}",
        " ∗ {m}", " ~ {m}",
        "\\sqrt{{{n}}}", "\\cdot {n}", " \\mod {n}",
    ]).format(n=n, m=m)  # fmt: skip
    kind: AnswerKind = rng.choice(["expression", "expression", "integer", "number"])
    return Pair(
        rng.choice(["\\boxed{{{}}}", "The answer is ${}$", "<answer>{}</answer>"]).format(f"{n}{more}"),
        str(n),
        False,
        kind,
    )


def text_around_a_number(rng: random.Random) -> Pair:
    n, letter = rng.randint(2, 99), rng.choice("bxyztk")
    written = rng.choice([
        "{x}+{n}", "{x} - {n}", "{x}/{n}", "{n}/{x}", "{x}^{n}", "{x}^{{{n}}}", "\\frac{{{x}}}{{{n}}}",
        "\\frac{{{n}}}{{{x}}}",
        "\\sqrt{{{n}}}", "\\sqrt[3]{{{n}}}", "sqrt({n})", "\\pm {n}", "±{n}", "\\ln {n}", "\\log_2({n})", "\\sin({n})",
        "{n} - {x}",
        "{n}+{x}", "{x}*{n}", "{n}*{x}", "{n}^{x}", "{x}_{{{n}}}", "\\binom{{{n}}}{{{x}}}", "√{n}",
        "\\lfloor {n}{x} \\rfloor",
    ]).format(n=n, x=letter)  # fmt: skip
    kind: AnswerKind = rng.choice(["expression", "integer", "number"])
    frame = rng.choice(["\\boxed{{{}}}", "The answer is ${}$", "<answer>{}</answer>", "So it is\n\\[\n{}\n\\]"])
    return Pair(frame.format(written), str(n), False, kind)


def sequence(rng: random.Random) -> Pair:
    start, step, count = rng.randint(1, 9), rng.randint(1, 5), rng.randint(2, 4)
    dots = rng.choice(["\\ldots", "\\dots", "..."])
    comma = rng.choice([",", ", "])

    def written(first: int, by: int, end: str, dots: str) -> str:
        return comma.join([*(str(first + by * at) for at in range(count)), dots, *([end] if end else [])])

    end = rng.choice(["", "n", f"{start + step * 20}"])
    if rng.random() < 0.4:
        return Pair(boxed(rng, written(start, step, end, "\\cdots")), written(start, step, end, dots), True)
    other = written(
        *rng.choice([(start, step + 1, end), (start + 1, step, end), (start, step, f"{end}+1" if end else "m")]), dots
    )
    colon = rng.random() < 0.3
    a, b = (s.replace(comma, ":") if colon else s for s in (other, written(start, step, end, dots)))
    return Pair(boxed(rng, a), b, False)


def collection(rng: random.Random) -> Pair:
    items = [latex(fraction(rng, 40) * rng.choice([1, -1, sympy.sqrt(2)])) for _ in range(rng.randint(2, 4))]
    if len({*items}) < len(items):
        return collection(rng)
    shuffled = rng.sample(items, len(items))
    kind = rng.choice(["list", "set", "tuple", "interval"])
    if kind == "list":
        return Pair(boxed(rng, ", ".join(shuffled)), ", ".join(items), True)
    if kind == "set":
        return Pair(boxed(rng, f"\\{{{', '.join(shuffled)}\\}}"), f"\\{{{','.join(items)}\\}}", True)
    if kind == "tuple":
        return Pair(boxed(rng, f"({', '.join(shuffled)})"), f"\\left( {', '.join(items)} \\right)", shuffled == items)
    low, high = rng.randint(-9, 0), rng.randint(1, 9)
    (a, b), (c, d) = ((rng.choice("(["), rng.choice(")]")) for _ in range(2))
    return Pair(boxed(rng, f"{a}{low},{high}{b}"), f"{c}{low}, {high}{d}", (a, b) == (c, d))


def measure(rng: random.Random) -> Pair:
    value = rng.choice(
        [str(rng.randint(2, 999)), f"{rng.randint(1, 99)}.{rng.randint(1, 9)}", f"\\frac{{{rng.randint(1, 5)}}}{{7}}"]
    )
    units = ["cm", "km", "meters", "square feet", "kg", "dollars", "miles per hour", "apples", "inches", "ft^2", "km/h"]
    unit, other = rng.sample(units, 2)
    style = rng.choice(
        ["{v}\\text{{ {u}}}", "{v} {u}", "{v}{u}", "{v} \\text{{{u}}}", "{v}\\ \\mathrm{{{u}}}", "{v}\\,\\mbox{{ {u}}}"]
    )
    written = style.format(v=value, u=unit)
    return rng.choice([
        Pair(boxed(rng, written), value, True), Pair(boxed(rng, value), written, True),
        Pair(boxed(rng, written), f"{value}\\text{{ {other}}}", {unit, other} == {"square feet", "ft^2"}),
        Pair(boxed(rng, f"{value} percent"), f"{value}\\%", True), Pair(boxed(rng, f"{value}\\%"), value, True),
        Pair(boxed(rng, f"{value} \\text{{ percent}}"), f"{value}\\%", True), Pair(boxed(rng, f"{value}^\\circ"),
        value, True),
        Pair(boxed(rng, f"{value} degrees"), f"{value}^{{\\circ}}", True), Pair(boxed(rng, f"1{written}"), value,
        False),
    ])  # fmt: skip


def mixed(rng: random.Random) -> Pair:
    whole, bottom = rng.randint(1, 40), rng.randint(2, 30)
    top = rng.randint(1, bottom - 1)
    sign = rng.choice(["", "-"])
    total = Q(whole * bottom + top, bottom)
    written = sign + rng.choice(
        ["{w} {t}/{b}", "{w}\\frac{{{t}}}{{{b}}}", "{w} \\frac{{{t}}}{{{b}}}", "{w}\\dfrac{{{t}}}{{{b}}}"]
    ).format(w=whole, t=top, b=bottom)
    kind: AnswerKind = rng.choice(["expression", "number"])
    if rng.random() < 0.3:  # its digits in a row, its whole part, or its fraction alone
        wrong = rng.choice([f"{whole}{top}/{bottom}", str(whole), f"{top}/{bottom}", f"{whole * top}/{bottom}"])
        return Pair(boxed(rng, written), sign + wrong, Q(wrong) == total, kind)
    return Pair(
        boxed(rng, written),
        f"{sign}\\frac{{{total.p}}}{{{total.q}}}" if total.q > 1 else f"{sign}{total.p}",
        True,
        kind,
    )


def decimal(rng: random.Random) -> Pair:
    top, bottom = rng.randint(1, 99), rng.choice([3, 7, 11, 13, 17, 19, 23])
    places = rng.randint(3, 14)
    if gcd(top, bottom) > 1:
        return decimal(rng)
    value = f"{Decimal(top) / bottom:.{places}f}"
    digits = value.strip("0").lstrip(".0").replace(".", "")  # a form keeps no last 0
    wrong = value[:-2] + str((int(value[-2]) + 5) % 10) + value[-1]
    kind: AnswerKind = rng.choice(["expression", "number"])
    if rng.random() < 0.5 and value[-2] != ".":
        return Pair(boxed(rng, wrong), f"\\frac{{{top}}}{{{bottom}}}", False, kind)
    return Pair(boxed(rng, value), f"\\frac{{{top}}}{{{bottom}}}", len(digits) >= 6, kind)


def equation(rng: random.Random) -> Pair:
    a, b, c = (rng.choice([-1, 1]) * rng.randint(1, 12) for _ in range(3))
    line = a * X + b * Y + c
    factor = rng.choice([-3, -2, 2, 5, Q(1, 2)])
    right = rng.random() < 0.6
    other = sympy.expand(line * factor) if right else sympy.expand(line * factor) + 1
    if rng.random() < 0.5:
        return Pair(boxed(rng, f"{latex(other)} = 0"), f"{latex(line)} = 0", right)
    solved = sympy.solve(line, Y)[0] + (0 if right else 1)
    return Pair(boxed(rng, f"y = {latex(solved)}"), f"{latex(line)} = 0", right)


def named(rng: random.Random) -> Pair:
    a = expression(rng, 1)
    ways = [f"f(x) = {latex(a)}", f"z = {plain(a)}", latex(a)]
    left, right = rng.choice([(0, 2), (1, 2), (2, 0), (2, 1)])
    if rng.random() < 0.3:
        return Pair(boxed(rng, f"u = {latex(a)}"), ways[1], False)
    return Pair(boxed(rng, ways[left]), ways[right], True)


def two_signs(rng: random.Random) -> Pair:
    a, n = rng.randint(1, 30), rng.choice([2, 3, 5, 6, 7, 10])
    both = f"{a} \\pm \\sqrt{{{n}}}"
    return rng.choice([
        Pair(boxed(rng, f"{a}+\\sqrt{{{n}}}, {a}-\\sqrt{{{n}}}"), both, True), Pair(boxed(rng, f"{a}+\\sqrt{{{n}}}"),
        both, False),
        Pair(boxed(rng, f"x = {a} or x = -{a}"), f"\\pm {a}", True), Pair(boxed(rng, f"{a} or -{a}"), str(a), False),
        Pair(boxed(rng, f"x={a} \\text{{ or }} x=-{n}"), f"{a}, -{n}", True), Pair(boxed(rng, f"x = {a} or x = -{n}"),
        f"x = {a}", False),
    ])  # fmt: skip


OPTIONS = ("a red bus", "a blue car", "a slow boat", "an old bicycle")


def letter(rng: random.Random) -> Pair:
    right, other, third = rng.sample("ABCD", 3)
    said = rng.choice([
        "Answer: {r} because {o} is wrong", "The answer is {r} since ({o}) is not right.",
        "Answer: {r}, as {o} is not valid",
        "Answer: ({r}); {o} was incorrect.", "\\boxed{{\\text{{{r}}}}}", "\\boxed{{\\textbf{{({r})}}}}",
        "$\\boxed{{\\mathrm{{{r}}}}}$",
        "Answer: {r} because ({o}) cannot be right", "{r} rather than {o}", "{r}, since {o} and {p} are both wrong",
        "**Answer:** {r}, not {o}", "Answer: {r}. {o} isn't correct.",
    ]).format(r=right, o=other, p=third)  # fmt: skip
    target = rng.choice([right, right, other])
    return Pair(said, target, target == right, "choice", OPTIONS)


def word(rng: random.Random) -> Pair:
    kind: AnswerKind
    kind, right, other = rng.choice(
        [("yes_no", "yes", "no"), ("word", "Paris", "Rome"), ("expression", "\\text{odd}", "\\text{even}")]
    )
    answer = right.removeprefix("\\text{").removesuffix("}")
    text = rng.choice(
        ["\\boxed{{\\text{{{}}}}}", "$\\boxed{{\\textbf{{{}}}}}$", "\\boxed{{{}}}", "The answer is \\text{{{}}}."]
    ).format(answer)
    target = rng.choice([right, right, other])
    return Pair(text, target, target == right, kind)


KINDS = (
    notation, rewritten, identity, changed, tiny, text_after_a_number, text_around_a_number, sequence, collection,
    measure, mixed, decimal,
    equation, named, two_signs, letter, word,
)  # fmt: skip


def pair(kind: str, seed: int) -> Pair:
    return next(each for each in KINDS if each.__name__ == kind)(random.Random(f"{kind} {seed}"))


@pytest.mark.parametrize("kind", [kind.__name__ for kind in KINDS])
def test_every_pair_of_a_kind_is_graded_right(kind: str):
    wrong = []
    for number in range(NUM_PAIRS // len(KINDS)):
        seed = SEED * 1_000_003 + number
        made = pair(kind, seed)
        answer = parse_plain(made.text, made.kind, made.choices)
        problem = Problem("", "pairs", kind, "", made.target, made.kind, choices=made.choices)
        if is_correct(answer, problem, equivalent=equal) is not made.right:
            wrong.append((f"pair({kind!r}, {seed})", made, answer))
    assert not wrong, f"{len(wrong)} of {NUM_PAIRS // len(KINDS)} with MLPO_PAIRS_SEED={SEED}: {wrong[:5]}"
