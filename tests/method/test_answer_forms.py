"""Canonical forms: equal answers are equal strings, hedges are none."""

from __future__ import annotations

import time
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.answer_forms import canonical_form
from mlpo.method.number_forms import number_of
from mlpo.types import AnswerKind

KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
CITIES = ("London", "Paris", "Rome", "Berlin")

GOLDEN = {
    "integer": {
        "42": ["42", "42.", "The answer is 42.", "17 + 25 = 42", "$42$", "42.0", "**42**", "042", "42km", "+42"],
        "1234": ["1,234", "$1{,}234$", "$1,234", "1234 dollars"],
        "6": ["**6**", "*6* dollars", "**6**.", "- **6**", "* 6", "· 6", "6*", "\\*\\*6\\*\\*", "6× as large"],
        "15": ["3*5 = 15", "3 * 5 = **15**", "$3 \\times 5 = 15$", "10 + 5 = 15", "15, 15", "15 (that is, 15)"],
        "-7": [
            "-7", "−7", "–7", "-$7", "x = -7", "- 7", "x = - 7", "The answer is - 7.", "Answer: - 7", "it (- 7)",
            "$- 7$", "**- 7**", "negative 7", "Minus 7 degrees", "It equals negative $7$", "-7 (-7)", "-7 (negative 7)",
            "-7 or -7",
        ],
        "77": ["the result - 77", "the answer – 77", "Answer:\n- 77", "non-negative 77"],
        "1000": ["1e3"],
        "0": ["0", "-0"],
        None: [
            "5 or 6", "x=5 or x=6", "5, 6", "1,2", "3-5", "42.5", "1/2", "5²", "2x", "½", "1.2.3", "", "10^3",
            "6*7", "6 * 7", "6 *7", "6*6", "6 * 6", "2**3", "3**3", "He pays 4*15 dollars.", "2*x", "x*2", "6*7 = 6*7",
            "6 \\times 6", "6\\cdot 6", "6 × 6", "6·6", "6 x 6", "6 ÷ 6", "6 \\div 6", "6/6/6", "6^6", "10^{10}",
            "5 + 5", "5+5", "5 +5", "5 - 5", "5-5", "5–5", "(5) + (5)", "5 minus 3", "5 minus 5", "5 plus 5", "5 - 77",
            "x = 5 + 5",
        ],
    },
    "number": {
        "0.5": ["0.5", ".5", "1/2", "2/4", "\\frac{1}{2}", "\\dfrac{1}{2}", "$0.50$", "5e-1", "It is \\frac{1}{2}"],
        "-0.75": ["-3/4", "-\\frac{3}{4}", "-0.750", "minus \\frac{3}{4}", "is - 3/4", "–.75", "negative 0.75"],
        "1.5": ["1 1/2", "1\\frac{1}{2}", "$1.50"],
        "1/3": ["1/3", "2/6"],
        "50": ["50%", "50\\%", "50.00"],
        None: ["1/0", "3/4/5", "0.5 or 0.6", "1e999999999", "9" * 200, "pi", "3*10^8", "4/4/1", "1/2 + 1/2"],
    },
    "expression": {
        "x^2+1": ["x^2+1", "$x^2 + 1$", "x^2 + 1.", "The result is $x^2+1$."],
        "0.5": ["\\frac{1}{2}", "0.50", "\\dfrac12".replace("12", "{1}{2}")],
        "\\sin x": ["\\sin x", "$\\sin  x$"],
        "(1,2)": ["\\left( 1, 2 \\right)", "(1,2)"],
        "6*7": ["6*7", "6 * 7", "6 *7", "6\\times 7", "$6 \\cdot 7$", "6 × 7", "**6*7**", "6\\*7"],
        "6*5^2": ["6*5^2", "6\\cdot5^2"],
        "3*10^8": ["3*10^8", "3\\times 10^8", "3 \\cdot 10^8"],
        "2x": ["2x", "2*x", "2 * x", "2\\cdot x", "2 \\times x", "**2x**"],
        "2\\sqrt{3}": ["2\\sqrt{3}", "2*\\sqrt{3}", "2\\cdot\\sqrt{3}", "2 × \\sqrt{3}"],
        "(x+1)(x-1)": ["(x+1)(x-1)", "(x+1)*(x-1)", "(x + 1) * (x - 1)"],
        "\\pi r^2": ["\\pi r^2", "\\pi*r^2", "\\pi \\cdot r^2"],
        "2^3": ["2^3", "2**3", "2 ** 3", "**2**3**"],
        "x*2": ["x*2", "x \\cdot 2"],
        "2*-3": ["2*-3", "2 * –3"],
        "6": ["**6**", "*6*."],
        "5!*3": ["5!*3", "5! \\cdot 3"],
        "x=1\\lor x=2": ["$x=1$ or $x=2$", "x=1 \\text{ or } x=2", "x = 1, or x = 2"],  # an equation's solutions
        "44/9": ["44/9"],
        "4 4/9": [],
        None: ["1 or 2", "x=1 or y=2", "x=1 or 2", "2 or x=1", " . "],
    },
    "choice": {
        "B": ["B", "b", "(B)", "(b)", "B.", "B)", "**B**", "(B) Paris", "Option B", "Paris", "It is Paris", "I say B",
              "B) since it's not moving", "(B), not only because it is right", "B, as it is not X",
              "not A but rather B"],
        "A": ["A", "(A)", "A: London"],
        None: ["A or B", "A and B", "A, B", "(A) (B)", "B) London", "E", "A guess", "none", "Paris or Rome",
               "The answer is not (B).", "not B", "It can't be B", "It cannot be the answer (B)", "It isn’t **B**",
               "never B", "So (B) is wrong.", "(B) isn't right", "B is not right", "(B) was incorrect",
               "B cannot be right"],
    },
    "yes_no": {
        "yes": ["Yes", "yes.", "True", "**Yes**", "Yes, it is.", "Not sure, but yes"],
        "no": ["No", "false", "No, that is false."],
        None: ["yes or no", "Yes, no", "not true", "That isn't true.", "isn’t true", "It is never true",
               "It can't be true", "not always true", "It isn't false", "maybe", ""],
    },
    "word": {
        "paris": ["Paris", "PARIS.", '"Paris"', "The capital of France is Paris.", "Answer: Paris", "- **Paris**!"],
        "apple": ["an apple", "The apple", "a apple"],
        "forty two": ["forty-two", "Forty two"],
        "was": ["was", "The past tense of is is was."],
        "trinidad and tobago": ["Trinidad and Tobago"],
        None: ["Paris or Lyon", "hot/cold", "hot | cold", "???", "a b c d e f g h i j", "x" * 500],
    },
    "list": {
        "a, b, c": ["a, b, c", "[a, b, c]", "a, b and c", "a b c", "A; B; C", "1. a\n2. b\n3. c", "- a\n- b\n- c"],
        "1, 2": ["1.0, 2", "[1, 2]", "(1; 2)"],
        "-1, 2": ["-1, 2", "–1, 2", "−1 and 2"],
        None: ["a, b or c", "and", "[]"],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "span", "form"),
    [(kind, span, form) for kind, forms in GOLDEN.items() for form, spans in forms.items() for span in spans],
)
def test_golden_forms(kind: AnswerKind, span: str, form: str | None):
    assert canonical_form(span, kind, CITIES if kind == "choice" else ()) == form


@given(
    st.text(max_size=60) | st.text("0123456789.,/-+= eE$%xor", max_size=20) | st.text("69x *^+-–×\\()!", max_size=12),
    st.sampled_from(KINDS),
)
def test_the_form_of_a_form_is_itself(span: str, kind: AnswerKind):
    choices = CITIES if kind == "choice" else ()
    form = canonical_form(span, kind, choices)
    assert form is None or canonical_form(form, kind, choices) == form


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.sampled_from(["or", "Or", "or maybe", ", or"]))
def test_two_different_numbers_are_a_hedge(a: int, b: int, joined: str):
    form = canonical_form(f"{a} {joined} {b}", "integer")
    assert form == (str(a) if a == b else None)


OPERATORS = (
    "+", "-", "–", "−", "*", "**", "/", "×", "÷", "^", "·", "x", "\\times", "\\cdot", "\\div", "plus", "minus", "times",
)  # fmt: skip


@given(st.integers(0, 999), st.integers(-999, 999), st.sampled_from(OPERATORS))
def test_a_calculation_is_no_number_until_its_result_is_there(a: int, b: int, operator: str):
    assert canonical_form(f"{a} {operator} {b} {operator} {b}", "integer") is None
    assert canonical_form(f"{a} {operator} {b} = {a}", "integer") == str(a)
    if operator != "/":  # 6 / 3 is a fraction
        assert canonical_form(f"{a} {operator} {b}", "integer") is None


@pytest.mark.parametrize("text", ["B) not guilty", "B. Not guilty.", "not guilty", "Not guilty"])
def test_an_options_own_not_denies_nothing(text: str):
    assert canonical_form(text, "choice", ("guilty", "not guilty", "it is not C")) == "B"
    assert canonical_form("(C) It is not C", "choice", ("guilty", "not guilty", "it is not C")) == "C"


REPEATED = (
    "6*", "* ", " *", "*", "**6 ", "- ", "5 + ", "is - ", "= -", "minus ", "not ", "not be the ", "n't B", "(B) is ",
    "(B) ", "\\times ",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_repeats_is_read_at_once(kind: AnswerKind):
    started = time.process_time()
    for piece in REPEATED:
        for text, end in product((f"6{piece}{' ' * 370}", f"6{(piece * 400)[:390]}"), ("B", ",6")):
            canonical_form(text + end, kind, CITIES if kind == "choice" else ())
    assert time.process_time() - started < 2  # 64 texts, a few milliseconds each


@given(st.from_regex(r"[b-z]{3,10}", fullmatch=True), st.from_regex(r"[b-z]{3,10}", fullmatch=True))
def test_two_words_are_a_hedge(a: str, b: str):
    assert canonical_form(f"{a} or {b}", "word") is None
    assert canonical_form(f"{a}/{b}", "word") is None


@given(
    st.from_regex(r"[A-Za-z][a-z]{1,10}", fullmatch=True),
    st.sampled_from(["", "a ", "An ", "THE "]),
    st.sampled_from([".", "!", "...", "?"]),
)
def test_a_word_is_read_whatever_its_case_article_and_punctuation(word: str, article: str, mark: str):
    assert canonical_form(f"{article}{word.upper()}{mark}", "word") == canonical_form(word, "word")


def test_without_choices_any_of_ten_letters_is_a_choice():
    assert canonical_form("(J)", "choice") == "J"
    assert canonical_form("(K)", "choice") is None


def test_a_choice_by_text_is_read_whatever_the_article():
    assert canonical_form("the blue ball", "choice", ("red ball", "The blue ball.")) == "B"


def test_the_value_of_a_form():
    assert number_of("1/3") * 3 == 1
    assert number_of("-0.5") * 2 == -1
    assert number_of("x") is None
    assert number_of("3 apples") is None
