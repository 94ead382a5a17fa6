"""What a text answers: the last answer counts, thinking is never read, None is never right."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.method.answers import (
    agent_answer,
    is_correct,
    leader_answer,
    parse_answer,
    parse_last_line,
    parse_plain,
    think_of,
    well_formed,
)
from mlpo.types import AnswerKind, Completion, FinishReason, Problem

KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)


def problem(target: str, kind: AnswerKind, *, aliases: tuple[str, ...] = (), choices: tuple[str, ...] = ()) -> Problem:
    return Problem("p", "basics", "family", "question?", target, kind, aliases, choices)


def completion(text: str, finish_reason: FinishReason = "stop") -> Completion:
    return Completion("p", "geo", text, finish_reason, 10, 5)


# Texts of the kind that models write: SmolLM2-135M's short lines, and the long ones of 7B chat models.
AGENT_TEXTS = [
    ("Paris", "word", "paris"),
    ("Paris.\nQuestion: What is the capital of Spain?\nMadrid", "word", "paris"),
    ("The capital of France is Paris.", "word", "paris"),
    ("Paris. It is the largest city of France.", "word", "paris"),
    ("St. John's", "word", "st. john's"),
    ("Thirty-one", "word", "thirty one"),
    ("The plural of mouse is mice.", "word", "mice"),
    ("7 x 8 = 56", "integer", "56"),
    ("Janet has 16 eggs and eats 3.\nSo 16 - 3 = 13 are left.\nShe earns 13 * 2 = $26.", "integer", "26"),
    ("She bakes 4 and eats 3.\nThe answer is 18.", "integer", "18"),
    ("Step 1: 48/2 = 24\nStep 2: 48 + 24 = 72\n#### 72", "integer", "72"),
    ("**Answer:** 1,250 meters", "integer", "1250"),
    ("The final answer is: \\boxed{-3}.", "integer", "-3"),
    ("First \\boxed{4}. Wait, I forgot the carry. \\boxed{14}", "integer", "14"),
    ("Not 7 but \\boxed{\\frac{3}{4}} and then \\boxed{unbalanced", "number", "0.75"),
    ("The answer is 5. Hm, no.\nThe answer is 6.", "integer", "6"),
    ("I get \\boxed{x^{2}+1}", "expression", "x^{2}+1"),
    ("<think>maybe 5</think>7", "integer", "7"),
    ("<think>I was cut", "integer", None),
    ("Let's see. (A) is wrong, (B) too.\nThe answer is (C).", "choice", "C"),
    ("C. Because it is the only mammal.", "choice", "C"),
    ("No. Whales are mammals, so yes would be wrong.", "yes_no", "no"),
    ("red, green and blue", "list", "red, green, blue"),
    ("6 times 7 gives 42.\nHe pays 6*7 dollars.", "integer", None),
    ("The sum 5 + 5 is 10.", "integer", "10"),
    ("It is cold.\nThe answer is - 77.", "integer", "-77"),
    ("The answer is:\n- 77 apples", "integer", "77"),
    ("The temperature is negative 5.", "integer", "-5"),
    ("The answer is **3*10^8**.", "expression", "3*10^8"),
    ("The answer is not (B).", "choice", None),
    ("Look at each of them in turn.\nSo (B) is wrong.", "choice", None),
    ("B) since it's not moving", "choice", "B"),
    ("That isn't true.", "yes_no", None),
    ("42 or 43", "integer", None),
    ("The answer is either hot or cold.", "word", None),
    ("I am not sure about this one, it might be one of several large cities.", "word", None),
    ("", "word", None),
    (" \n \n", "integer", None),
]  # fmt: skip

LEADER_TEXTS = [
    ("<think>geo knows capitals.</think><answer>Paris</answer>", "word", "paris"),
    ("<think>x</think> <answer> the Paris. </answer>\n", "word", "paris"),
    ("<think>geo says 5. Wait, 6.</think><answer>5</answer> No: <answer>6</answer>", "integer", "6"),
    ("<think>a</think><answer>5</answer>Wait.<think>b</think><answer>6</answer>", "integer", "6"),
    ("<think>geo wrote <answer>5</answer></think><answer>6</answer>", "integer", "6"),
    ("<think>geo wrote </think><answer>5</answer> but no</think><answer>6</answer>", "integer", "6"),
    ("<think>geo wrote <answer>5</answer></think>", "integer", None),
    ("<think>geo wrote <answer>5</answer>", "integer", None),
    ("the template opened the thought</think><answer>6</answer>", "integer", "6"),
    ("<answer>6</answer>", "integer", "6"),
    ("<THINK>a</THINK><Answer>6</ANSWER>", "integer", "6"),
    ("<think>a</think><answer>5<answer>6</answer>", "integer", "6"),
    ("<think>a</think><answer>5</answer></answer>", "integer", "5"),
    ("<think>a</think><answer>5</answer><answer>6", "integer", "5"),
    ("<think>a</think><answer>5</answer><answer>6 or 7</answer>", "integer", None),
    ("<think>a</think><answer>\\boxed{5}</answer>", "integer", "5"),
    ("<think>a</think><answer>x < 3</answer>", "expression", "x<3"),
    ("<think>a</think><answer>6*7</answer>", "expression", "6*7"),
    ("<think>a</think><answer>6*7</answer>", "integer", None),
    ("<think>a</think><answer>- 77</answer>", "integer", "-77"),
    ("<think>a</think><answer>5 + 5</answer>", "integer", None),
    ("<think>a</think><answer>not (B)</answer>", "choice", None),
    ("<think>a</think><answer></answer>", "word", None),
    ("Paris", "word", None),
    ("\\boxed{6}", "integer", None),
]


@pytest.mark.parametrize(("text", "kind", "answer"), AGENT_TEXTS)
def test_agents_plain_texts(text: str, kind: AnswerKind, answer: str | None):
    assert parse_plain(text, kind) == answer


@pytest.mark.parametrize(("text", "kind", "answer"), LEADER_TEXTS)
def test_leaders_tagged_texts(text: str, kind: AnswerKind, answer: str | None):
    assert parse_answer(text, kind) == answer


@given(st.text(max_size=200) | st.text("<>/thinkanswer 56", max_size=60))
def test_no_text_of_an_agent_is_read_as_the_leaders_answer(quoted: str):
    assert parse_answer(f"<think>geo says {quoted} hm</think><answer>17</answer>", "integer") == "17"
    if "</think>" not in quoted.lower():
        assert parse_answer(f"<think>geo says {quoted}", "integer") is None


@given(st.lists(st.integers(-999, 999), min_size=1, max_size=5))
def test_the_last_answer_wins(numbers: list[int]):
    tagged = " Wait. ".join(f"<answer>{n}</answer>" for n in numbers)
    boxed = " Wait. ".join(f"\\boxed{{{n}}}" for n in numbers)
    assert parse_answer(f"<think>hm</think>{tagged}", "integer") == str(numbers[-1])
    assert parse_plain(boxed, "integer") == str(numbers[-1])


@given(st.text(max_size=120), st.sampled_from(KINDS))
def test_whatever_is_parsed_from_any_text_is_settled(text: str, kind: AnswerKind):
    for answer in (parse_plain(text, kind), parse_answer(f"<answer>{text}</answer>", kind)):
        assert answer is None or parse_answer(f"<answer>{answer}</answer>", kind) == answer


@pytest.mark.parametrize("parse", [parse_answer, parse_plain, parse_last_line])
def test_no_parser_can_see_a_target(parse: Callable[..., object]):
    assert list(inspect.signature(parse).parameters) == ["text", "kind", "choices"]


TARGETS: dict[AnswerKind, str] = {
    "integer": "42",
    "number": "1/2",
    "expression": "x^2",
    "choice": "B",
    "yes_no": "no",
    "word": "Paris",
    "list": "a, b",
    "brackets": "] }",
}


@pytest.mark.parametrize("kind", KINDS)
def test_none_is_never_right(kind: AnswerKind):
    always: list[bool] = []
    assert not is_correct(None, problem(TARGETS[kind], kind), equivalent=lambda a, b: always.append(True) or True)
    assert not always


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_right_and_a_hedge_with_it_is_wrong(kind: AnswerKind):
    other = {
        "integer": "43",
        "number": "0.7",
        "expression": "y",
        "choice": "C",
        "yes_no": "yes",
        "word": "Rome",
        "list": "c",
        "brackets": "] )",
    }
    asked = problem(TARGETS[kind], kind)
    assert is_correct(parse_answer(f"<answer>{asked.target}</answer>", kind), asked)
    hedge = f"{asked.target} or {other[kind]}"
    assert not is_correct(parse_answer(f"<answer>{hedge}</answer>", kind), asked)
    assert not is_correct(hedge, asked, equivalent=lambda a, b: True)


def test_aliases_are_right_too():
    asked = problem("octopuses", "word", aliases=("octopi", "octopodes"))
    assert is_correct("octopi", asked)
    assert is_correct("octopuses", asked)
    assert not is_correct("octopus", asked)


def test_numbers_are_compared_by_value_to_a_millionth():
    third = problem("1/3", "number")
    assert is_correct("0.33333333", third)
    assert not is_correct("0.3333", third)
    assert not is_correct("-1/3", third)
    assert not is_correct("0.0000001", problem("0", "number"))  # relative: nothing but 0 is close to 0


def test_an_integer_is_exact():
    assert not is_correct("100000001", problem("100000000", "integer"))


def test_expressions_go_to_the_grader_only_when_form_and_value_do_not_decide():
    asked: list[tuple[str, str]] = []

    def equivalent(answer: str, target: str) -> bool:
        asked.append((answer, target))
        return True

    assert is_correct("\\frac{1}{2}", problem("0.5", "expression"), equivalent=equivalent)
    assert is_correct("0.333333333", problem("1/3", "expression"), equivalent=equivalent)
    assert not is_correct("3", problem("4", "expression"), equivalent=equivalent)
    assert asked == []
    assert is_correct("1+x", problem("x + 1", "expression"), equivalent=equivalent)
    assert asked == [("1+x", "x+1")]
    assert not is_correct("1+x", problem("x + 1", "expression"))


def test_a_choice_target_may_be_a_letter_or_an_option():
    cities = ("London", "Paris")
    assert is_correct("B", problem("(B)", "choice", choices=cities))
    assert is_correct("B", problem("Paris", "choice", choices=cities))
    assert not is_correct("A", problem("Paris", "choice", choices=cities))


def test_a_target_that_cannot_be_read_is_an_error_not_a_wrong_answer():
    with pytest.raises(ValueError, match="target 'many' cannot be read as answer kind 'integer'"):
        is_correct("5", problem("many", "integer"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think><answer>b</answer>", True),
        ("<think></think>\n<answer>b</answer>\n", True),
        ("<think>a</think><answer>b</answer>.", False),
        ("<think>a</think><answer> </answer>", False),
        ("<think>a<answer>b</answer>", False),
        ("<answer>b</answer><think>a</think>", False),
        ("<think>a<answer>b</think></answer>", False),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False),
        ("<think>a</think></think><answer>b</answer>", False),
        ("b", False),
    ],
)
def test_well_formed_is_both_tags_once_in_order_and_nothing_after(text: str, expected: bool):
    assert well_formed(text) is expected


@pytest.mark.parametrize(
    ("text", "think"),
    [
        ("<think> a </think><answer>b</answer>", "a"),
        ("<think>a</think><answer>5</answer><think>b</think>", "a</think><answer>5</answer><think>b"),
        ("opened by the template</think>b", "opened by the template"),
        ("<think>cut", "cut"),
        ("none", ""),
    ],
)
def test_think_of(text: str, think: str):
    assert think_of(text) == think


def test_a_truncated_or_failed_completion_has_no_answer():
    asked = problem("5", "integer")
    for reason in ("length", "error"):
        assert agent_answer(completion("5", reason), asked) is None
        assert leader_answer(completion("<think>a</think><answer>5</answer>", reason), asked) == (None, False)
    assert agent_answer(completion("5"), asked) == "5"
    assert leader_answer(completion("<think>a</think><answer>5</answer>"), asked) == ("5", False)


@pytest.mark.parametrize(
    ("text", "reason", "reading"),
    [
        ("<think>a</think><answer>5</answer>", "stop", ("5", False)),
        ("Let me think.\nThe answer is 5.", "stop", ("5", True)),
        ("<think>hm</think>5", "stop", ("5", True)),
        ("5\nbut really\nI do not know", "stop", (None, False)),
        ("<think>a</think><answer>5 or 6</answer>", "stop", (None, False)),  # tags are there: no second chance
        ("<think>a</think><answer>5</answer> and then it rambl", "length", ("5", True)),
        ("The answer is 5", "length", (None, False)),  # 5 or 57?
        ("<think>5", "stop", (None, False)),
        ("<answer>5</answer>", "error", (None, False)),
    ],
)
def test_the_lenient_reading_is_flagged(text: str, reason: FinishReason, reading: tuple[str | None, bool]):
    assert leader_answer(completion(text, reason), problem("5", "integer"), lenient=True) == reading


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("The capital of Peru is Lima.", "word", "lima"),
        ("The capital of Mexico is Mexico City.", "word", "mexico city"),
        ("7 times 7 is 49.", "integer", "49"),
        ("12 x 3 = 36", "integer", "36"),
        ("It is 5 or 6.", "integer", None),
    ],
)
def test_a_statement_answers_with_what_follows_its_last_copula(text: str, kind: AnswerKind, answer: str | None):
    assert parse_plain(text, kind) == answer
