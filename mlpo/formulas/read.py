r"""A formula, LaTeX or plain, as a tree: every character is understood, or the text is no formula.

    read("2pi r") == read("2*\\pi r"); "4\\sqrt(2)" is a product, never 4; "6 @ 7" raises.

What stands after a value as words is its unit, so a number that is followed by anything else is not that number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from mlpo.formulas.cursor import Cursor, as_latex
from mlpo.formulas.decimals import POWERS_OF_TEN
from mlpo.formulas.names import FUNCTIONS, GREEK, INVERSES, factors_of, is_symbols
from mlpo.formulas.tree import Formula, UnreadableError, number
from mlpo.formulas.units import ABBREVIATED, NO_UNITS, TEXT_UNIT, UNIT, unit_name

MAX_DEPTH = 60
"""Brackets inside brackets; deeper ones are not read."""
MAX_EXPONENT = 100_000
"""Of ten, in a literal such as 1e-20."""
RELATIONS = {
    "=": "=", "<": "<", ">": ">", "≤": "<=", "≥": ">=", "≠": "!=", "<=": "<=", ">=": ">=", "!=": "!=", "\\le": "<=",
    "\\leq": "<=", "\\leqslant": "<=", "\\ge": ">=", "\\geq": ">=", "\\geqslant": ">=", "\\ne": "!=", "\\neq": "!=",
    "\\lt": "<", "\\gt": ">", "\\in": "in", "∈": "in", "\\equiv": "≡", "≡": "≡", "\\approx": "~", "≈": "~",
}  # fmt: skip
PRODUCTS = {"*", "\\cdot", "\\times", "·", "×", "⋅", "\\ast"}
QUOTIENTS = {"/", "\\div", "÷"}
DECORATIONS = {"\\vec", "\\mathbf", "\\mathbb", "\\mathcal", "\\hat", "\\bar", "\\overline", "\\angle", "\\triangle",
               "\\overrightarrow", "\\boldsymbol", "\\widehat", "\\mathit", "\\mathsf", "\\mathscr"}  # fmt: skip
CLOSES = {"(": ")]", "[": "])", "\\{": ("\\}",)}
_NUMBERS = {
    in_list: re.compile(
        rf"\s*((?:[0-9]{{1,3}}(?:(?:{thousands})[0-9]{{3}})+(?![0-9])|[0-9]+)(?:\.(?:[0-9]+|(?=\s*\\overline)))?|\.[0-9]+)"
        r"(?:[eE]([-+]?[0-9]{1,6})(?![0-9a-zA-Z.]))?"
    )
    for in_list, thousands in ((False, r",|\{,\}"), (True, r"\{,\}"))
}
"""Of a number, by whether a comma before it parts the items of a list."""
_MIXED = re.compile(r"\s*\\[dt]?frac\s*(?:\{\s*([0-9]{1,9})\s*\}|([0-9]))\s*(?:\{\s*([0-9]{1,9})\s*\}|([0-9]))")
_MIXED_PLAIN = re.compile(r"\s+([0-9]{1,9})\s*/\s*([0-9]{1,9})(?![0-9.])")
_REPEATING = re.compile(r"\s*\\overline\s*\{\s*([0-9]{1,40})\s*\}")
_NAMED_FUNCTION = re.compile(r"\s*([a-zA-Z](?:'|\^\{-1\}|\^-1|_\{?[0-9a-z]\}?)?\([a-z](?:,[a-z])*\))(?=\s*=)")
_WORDS = re.compile(r"\s*([A-Za-z][A-Za-z'.-]*+(?: [A-Za-z][A-Za-z'.-]*+){0,7}+)\s*+(?=$|[,;)\]}]|\\\})")
_ENVIRONMENT = re.compile(r"\\begin\{([pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?")
CLOSES_ANYTHING = {")", "]", "}", "\\}", "\\rvert", "\\rfloor", "\\rceil", "&", "\\\\", "\\end"}
STOPS = {
    "+", "-", "\\pm", "\\mp", ",", ";", ":", "and", "or", "\\lor", "\\vee", "\\cup", "^", "_", "!", "%", "\\%", "'",
    "mod", "\\mod", "\\pmod", "\\bmod", "\\text", "\\degree", "\\cap", "\\to",
} | PRODUCTS | QUOTIENTS  # fmt: skip


def read(text: str) -> Formula:
    """The tree of a formula.

    Raises:
        UnreadableError: some of the text is not understood.
    """
    reader = _Reader(as_latex(text))
    formula = reader.alternatives()
    if reader.peek():
        raise UnreadableError(f"{reader.text!r} at {reader.at}")
    return formula


class _Reader(Cursor):
    """The grammar: a method a rule, from the loosest to the tightest."""

    def alternatives(self) -> Formula:
        found = [self.items()]
        while self.peek() in ("\\lor", "\\vee", "or"):
            self.next()
            found.append(self.items())
        return found[0] if len(found) == 1 else Formula("or", tuple(found))

    def items(self) -> Formula:
        found = [self.relation()]
        while self.peek() in (",", ";", "and"):
            self.next()
            if self.peek() == "and":
                self.next()
            found.append(self.relation())
        return found[0] if len(found) == 1 else Formula("list", tuple(found))

    def relation(self) -> Formula:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableError("too many brackets")
        start = self.at
        if (words := self.match(_WORDS)) and not is_symbols(words[1]):
            self.depth -= 1
            return Formula("text", name=" ".join(words[1].casefold().split()))
        self.at = start
        named = self.match(_NAMED_FUNCTION)
        parts = [Formula("symbol", name="".join(named[1].split())) if named else self.union()]
        signs: list[str] = []
        while (sign := RELATIONS.get(self.peek())) is not None:
            self.next()
            signs.append(sign)
            parts.append(self.union())
        self.depth -= 1
        found = Formula("relation", tuple(parts), " ".join(signs)) if signs else parts[0]
        return self.modulus(found)

    def modulus(self, of: Formula) -> Formula:
        if self.peek() in ("\\pmod", "\\mod", "\\bmod", "mod"):
            self.next()
            return Formula("mod", (of, self.product()))
        return of

    def union(self) -> Formula:
        found = [self.ratio()]
        while self.peek() == "\\cup":
            self.next()
            found.append(self.ratio())
        return found[0] if len(found) == 1 else Formula("union", tuple(found))

    def ratio(self) -> Formula:
        start = self.at
        found = [self.sum()]
        while self.peek() == ":":
            self.next()
            found.append(self.sum())
        written = "".join(self.text[start : self.at].split())
        return found[0] if len(found) == 1 else Formula("ratio", tuple(found), written)

    def sum(self) -> Formula:
        terms: list[Formula] = []
        while True:
            signs = []
            while self.peek() in ("+", "-", "\\pm", "\\mp"):
                signs.append(self.next())
            if terms and not signs:
                break
            if len(signs) > 2:
                raise UnreadableError(f"{self.text!r}: {signs}")
            term = self.product()
            for sign in reversed(signs):
                term = term if sign == "+" else Formula({"-": "minus"}.get(sign, sign[1:]), (term,))
            terms.append(term)
        return terms[0] if len(terms) == 1 else Formula("plus", tuple(terms))

    def product(self, *, of_function: bool = False) -> Formula:
        found = self.factor()
        while True:
            piece = self.peek()
            if not of_function and piece in PRODUCTS:
                self.next()
                found = Formula("times", (found, self.signed_factor()))
            elif not of_function and piece in QUOTIENTS:
                self.next()
                found = Formula("over", (found, self.signed_factor()))
            elif self.depth <= 1 and ABBREVIATED.match(self.text, self.at) and (unit := self.unit()):
                found = unit(found)
            elif self.starts_factor(piece, of_function):
                found = Formula("times", (found, self.factor(after=found)))
            elif not self.factors and not of_function and (unit := self.unit()) and self.depth <= 1:
                found = unit(found)
            else:
                return found

    def signed_factor(self) -> Formula:
        if self.peek() in ("-", "+"):
            sign = self.next()
            factor = self.factor()
            return Formula("minus", (factor,)) if sign == "-" else factor
        return self.factor()

    def starts_factor(self, piece: str, of_function: bool) -> bool:
        if piece == "" or piece in CLOSES_ANYTHING or piece in RELATIONS or piece in STOPS:
            return False
        if piece == "|" or piece in ("\\vert", "\\lvert", "\\mid"):
            return self.bars == 0 and piece != "\\mid"
        if piece.isalpha() and not self.factors:
            letters = factors_of(piece)
            return bool(letters) and not (of_function and letters[0] in FUNCTIONS)
        if of_function and (piece in "([" or piece.lstrip("\\") in FUNCTIONS):
            return False
        return piece[0].isalnum() or piece[0] in ".\\([" or piece in ("{", "|")

    def unit(self) -> Callable[[Formula], Formula] | None:
        """What a unit does to the value before it."""
        start = self.at
        if text := self.match(TEXT_UNIT):
            return lambda of: Formula("unit", (of,), unit_name(text[1] + (text[2] or "")))
        found = self.match(UNIT)
        if found is None:
            return None
        words = found[1].split()
        while words and (zeros := POWERS_OF_TEN.get(words[0].lower())) is not None:
            scale, words = number(10**zeros), words[1:]
            rest = " ".join(words)
            if not rest:
                return lambda of: Formula("times", (of, scale))
        if words[0].lower() in ("percent", "percentage", "pct"):
            if len(words) == 1:
                return lambda of: Formula("percent", (of,))
            self.at = start  # "5 percent increase" says more than a number
            return None
        if words[0].lower() in ("degree", "degrees", "deg") and len(words) == 1:
            return lambda of: Formula("degree", (of,))
        said = words[:-1] if words[-1] == "in" else words  # an inch
        if any(word.lower() in NO_UNITS for word in said) or len(words) < len(found[1].split()):
            self.at = start
            return None
        return lambda of: Formula("unit", (of,), unit_name(found[1]))

    def factor(self, after: Formula | None = None) -> Formula:
        if after is not None and after.head in ("number", "mixed") and self.peek()[0] in "0123456789.":
            raise UnreadableError(f"{self.text!r}: two numbers in a row")
        found = self.primary()
        while True:
            piece = self.peek()
            if piece == "^":
                found = self.power(found)
            elif piece == "!":
                self.next()
                if self.peek() == "!":
                    raise UnreadableError("a double factorial")
                found = Formula("factorial", (found,))
            elif piece in ("%", "\\%"):
                self.next()
                found = Formula("percent", (found,))
            elif piece == "\\degree":
                self.next()
                found = Formula("degree", (found,))
            elif piece == "_" and found.head == "number":
                self.next()
                found = Formula("base", (found,), self.script())
            else:
                return found

    def power(self, base: Formula) -> Formula:
        self.next()
        start = self.at
        braced = self.peek() == "{"
        if braced:
            self.next()
        if self.peek() in ("\\circ", "\\degree"):
            self.next()
            if braced:
                self.expect("}")
            return Formula("degree", (base,))
        self.at = start
        if self.peek() == "-":
            self.next()
            return Formula("power", (base, Formula("minus", (self.exponent(),))))
        return Formula("power", (base, self.exponent()))

    def exponent(self) -> Formula:
        found = self.group_or_primary()
        return self.power(found) if self.peek() == "^" else found

    def group_or_primary(self) -> Formula:
        if self.peek() == "{":
            return self.group()
        return self.primary()

    def group(self) -> Formula:
        self.expect("{")
        in_list, self.in_list = self.in_list, False
        found = self.relation()
        self.in_list = in_list
        self.expect("}")
        return found

    def argument(self) -> Formula:
        r"""What \frac and \binom take: {a}, or one digit, letter or command."""
        if self.peek() == "{":
            return self.group()
        if digit := self.match(re.compile(r"\s*([0-9])")):
            return number(int(digit[1]))
        if letter := self.match(re.compile(r"\s*([a-zA-Z])")):
            return self.named(letter[1])
        return self.primary()

    def script(self) -> str:
        """A subscript as it is written."""
        if self.peek() != "{":
            return self.next()
        self.next()
        parts = []
        while (piece := self.next()) != "}":
            if piece in ("{", "_", "^", "\\"):
                raise UnreadableError("a subscript of subscripts")
            parts.append(piece)
        return "".join(parts)

    def primary(self) -> Formula:
        if not self.factors and (found := self.match(_NUMBERS[self.in_list])):
            return self.number(found)
        piece = self.next()
        if piece in ("(", "[", "\\{"):
            return self.bracketed(piece)
        if piece == "{":
            in_list, self.in_list = self.in_list, True
            inside = self.items()
            self.in_list = in_list
            self.expect("}")
            return Formula("set", inside.args) if inside.head == "list" else inside
        if piece in ("|", "\\lvert", "\\vert"):
            self.bars += 1
            found_inside = self.sum()
            self.bars -= 1
            if self.next() not in ("|", "\\rvert", "\\vert"):
                raise UnreadableError("a bar that is not closed")
            return Formula("call", (found_inside,), "abs")
        if piece.startswith("\\"):
            return self.command(piece)
        if piece in ("...",):
            return Formula("dots")
        if piece.isalpha():
            if not self.factors and len(piece) > 1 and piece.isascii():
                first, *self.factors = factors_of(piece) or [""]
                piece = first
            if piece:
                return self.named(piece)
        raise UnreadableError(f"{self.text!r}: {piece!r}")

    def number(self, found: re.Match[str]) -> Formula:
        digits, exponent = found[1].replace("{,}", "").replace(",", ""), found[2]
        if exponent and abs(int(exponent)) > MAX_EXPONENT:
            raise UnreadableError("a number too large")
        value = Fraction(digits.removesuffix(".")) * Fraction(10) ** int(exponent or 0)
        if "." in digits or exponent:
            if repeated := self.match(_REPEATING):
                places = len(digits.partition(".")[2])
                part = Fraction(int(repeated[1]), 10 ** len(repeated[1]) - 1)
                return number(value + part / 10**places)
            return Formula("number", name=found[0].strip(), value=value)
        start = self.at
        if mixed := self.match(_MIXED) or self.match(_MIXED_PLAIN):
            numerator, denominator = (int(part) for part in mixed.groups() if part)
            if numerator < denominator:
                return number(value + Fraction(numerator, denominator))
            self.at = start
        return Formula("number", name=digits, value=value)

    def bracketed(self, opened: str) -> Formula:
        self.depth += 1
        outside, self.bars, self.in_list = (self.bars, self.in_list), 0, True
        found = self.items()
        self.depth -= 1
        self.bars, self.in_list = outside
        closed = self.next()
        if closed not in CLOSES[opened]:
            raise UnreadableError(f"{self.text!r}: {opened} closed by {closed}")
        if opened == "\\{":
            return Formula("set", found.args if found.head == "list" else (found,))
        if found.head != "list":
            if opened + closed not in ("()", "[]"):
                raise UnreadableError(f"{self.text!r}: {opened}{closed} around one thing")
            return found
        return Formula("tuple", found.args, opened + closed)

    def command(self, piece: str) -> Formula:
        name = piece[1:]
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return Formula("over", (self.argument(), self.argument()))
        if name in ("binom", "dbinom", "tbinom"):
            return Formula("binomial", (self.argument(), self.argument()))
        if name == "sqrt":
            return self.root()
        if name in ("lfloor", "lceil"):
            inside = self.sum()
            self.expect(piece.replace("l", "r", 1))
            return Formula("call", (inside,), {"lfloor": "floor", "lceil": "ceil"}[name])
        if name == "begin":
            self.at -= len(piece)
            return self.matrix()
        if name in ("ldots", "dots", "cdots"):
            return Formula("dots")
        if name == "operatorname":
            return self.named(self.script())
        if piece in DECORATIONS:
            if (letter := self.script()) == "R" and piece == "\\mathbb":
                return Formula("tuple", (Formula("minus", (Formula("infinity"),)), Formula("infinity")), "()")
            return Formula("symbol", name=f"{name} {letter}")
        if name in ("infty", "pi") or name in FUNCTIONS or name in GREEK:
            return self.named(name)
        if name in ("Re", "Im", "imath"):
            raise UnreadableError(piece)
        if name in ("mathrm", "text", "textbf", "mbox", "textit", "bf"):
            return self.named(self.script())
        raise UnreadableError(f"{self.text!r}: {piece}")

    def named(self, name: str) -> Formula:
        if name in FUNCTIONS:
            return self.root() if name == "sqrt" else self.call(name)
        if name in ("infty", "inf", "infinity", "oo"):
            return Formula("infinity")
        if name in ("pi", "e", "i"):
            return Formula("constant", name=name) if self.peek() != "_" else self.with_script(name)
        name = {"varnothing": "emptyset", "varepsilon": "epsilon"}.get(name, name)
        if len(name) > 1 and name not in GREEK:
            raise UnreadableError(f"{self.text!r}: {name}")
        if name in "fgh" and self.peek() == "(":
            start = self.at
            self.next()
            self.bracketed("(")
            return Formula("symbol", name=name + "".join(self.text[start : self.at].split()))
        return self.with_script(name)

    def with_script(self, name: str) -> Formula:
        if self.peek() == "_":
            self.next()
            name = f"{name}_{self.script()}"
        while self.peek() == "'":
            name += self.next()
        return Formula("symbol", name=name)

    def root(self) -> Formula:
        index = None
        if self.peek() == "[":
            self.next()
            index = self.sum()
            self.expect("]")
        if self.peek() == "{":
            inside = self.group()
        elif self.peek() == "(":
            self.next()
            inside = self.bracketed("(")
        else:
            inside = self.primary()
        return Formula("root", (inside, index or number(2)))

    def call(self, name: str) -> Formula:
        base = power = None
        if self.peek() == "_" and name == "log":
            self.next()
            base = self.argument() if self.peek() == "{" else self.primary()
        if self.peek() == "^":
            self.next()
            power = self.group() if self.peek() == "{" else self.signed_factor()
        if self.peek() in ("(", "{", "["):
            opened = self.next()
            inside = self.items_until("}") if opened == "{" else self.bracketed_items(opened)
        else:
            inside = (self.product(of_function=True),)
        several = name in ("max", "min", "gcd", "lcm")
        if not inside or (len(inside) > 1 and not several and not (name == "log" and len(inside) == 2)):
            raise UnreadableError(f"{self.text!r}: {name} of {len(inside)}")
        if base is not None:
            inside = (*inside, base)
        if power == Formula("minus", (Formula("number", name="1", value=Fraction(1)),)) and name in INVERSES:
            return Formula("call", inside, INVERSES[name])
        found = Formula(
            "call", inside, {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "Abs": "abs"}.get(name, name)
        )
        return Formula("power", (found, power)) if power else found

    def bracketed_items(self, opened: str) -> tuple[Formula, ...]:
        found = self.bracketed(opened)
        return found.args if found.head == "tuple" else (found,)

    def items_until(self, close: str) -> tuple[Formula, ...]:
        found = self.items()
        self.expect(close)
        return found.args if found.head == "list" else (found,)

    def matrix(self) -> Formula:
        opened = self.match(_ENVIRONMENT)
        if opened is None or opened[1] in ("vmatrix", "Vmatrix"):
            raise UnreadableError(f"{self.text!r}: an environment")
        self.depth += 1
        rows: list[Formula] = []
        row: list[Formula] = []
        while True:
            row.append(self.sum())
            piece = self.next()
            if piece == "&":
                continue
            rows.append(Formula("row", tuple(row)))
            row = []
            if piece == "\\\\" and self.peek() != "\\end":
                continue
            if piece == "\\\\":
                piece = self.next()
            if piece != "\\end" or self.script() != opened[1]:
                raise UnreadableError(f"{self.text!r}: a matrix that does not end")
            self.depth -= 1
            return Formula("matrix", tuple(rows))
