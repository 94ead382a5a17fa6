"""Canonical forms: equal answers are equal strings, hedges are none."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.answer_forms import canonical_form, number_of
from mlpo.types import AnswerKind

KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
CITIES = ("London", "Paris", "Rome", "Berlin")

GOLDEN = {
    "integer": {
        "42": ["42", "42.", "The answer is 42.", "17 + 25 = 42", "$42$", "42.0", "**42**", "042", "42km", "+42"],
        "1234": ["1,234", "$1{,}234$", "$1,234", "1234 dollars"],
        "-7": ["-7", "−7", "-$7", "x = -7"],
        "1000": ["1e3"],
        "0": ["0", "-0"],
        None: ["5 or 6", "x=5 or x=6", "5, 6", "1,2", "3-5", "42.5", "1/2", "5²", "2x", "½", "1.2.3", "", "10^3"],
    },
    "number": {
        "0.5": ["0.5", ".5", "1/2", "2/4", "\\frac{1}{2}", "\\dfrac{1}{2}", "$0.50$", "5e-1"],
        "-0.75": ["-3/4", "-\\frac{3}{4}", "-0.750"],
        "1.5": ["1 1/2", "1\\frac{1}{2}", "$1.50"],
        "1/3": ["1/3", "2/6"],
        "50": ["50%", "50\\%", "50.00"],
        None: ["1/0", "3/4/5", "0.5 or 0.6", "1e999999999", "9" * 200, "pi"],
    },
    "expression": {
        "x^2+1": ["x^2+1", "$x^2 + 1$", "x^2 + 1.", "The result is $x^2+1$."],
        "0.5": ["\\frac{1}{2}", "0.50", "\\dfrac12".replace("12", "{1}{2}")],
        "\\sin x": ["\\sin x", "$\\sin  x$"],
        "(1,2)": ["\\left( 1, 2 \\right)", "(1,2)"],
        None: ["1 or 2", "$x=1$ or $x=2$", "x=1 \\text{ or } x=2", " . "],
    },
    "choice": {
        "B": ["B", "b", "(B)", "(b)", "B.", "B)", "**B**", "(B) Paris", "Option B", "Paris", "It is Paris", "I say B"],
        "A": ["A", "(A)", "A: London"],
        None: ["A or B", "A and B", "A, B", "(A) (B)", "B) London", "E", "A guess", "none", "Paris or Rome"],
    },
    "yes_no": {
        "yes": ["Yes", "yes.", "True", "**Yes**", "Yes, it is."],
        "no": ["No", "false", "No, that is false."],
        None: ["yes or no", "Yes, no", "not true", "maybe", ""],
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
        None: ["a, b or c", "and", "[]"],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "span", "form"),
    [(kind, span, form) for kind, forms in GOLDEN.items() for form, spans in forms.items() for span in spans],
)
def test_golden_forms(kind: AnswerKind, span: str, form: str | None):
    assert canonical_form(span, kind, CITIES if kind == "choice" else ()) == form


@given(st.text(max_size=60) | st.text("0123456789.,/-+= eE$%xor", max_size=20), st.sampled_from(KINDS))
def test_the_form_of_a_form_is_itself(span: str, kind: AnswerKind):
    choices = CITIES if kind == "choice" else ()
    form = canonical_form(span, kind, choices)
    assert form is None or canonical_form(form, kind, choices) == form


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.sampled_from(["or", "Or", "or maybe", ", or"]))
def test_two_different_numbers_are_a_hedge(a: int, b: int, joined: str):
    form = canonical_form(f"{a} {joined} {b}", "integer")
    assert form == (str(a) if a == b else None)


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
