"""Whatever a model writes is read in bounded time, without a crash, and no answer is never the right one.

`python -m pytest tests/method/test_answers_fuzz.py -m slow` reads 20,000 texts; MLPO_FUZZ=1000000 in front, a million
(two minutes of one core).
"""

from __future__ import annotations

import os
import random
import time
from typing import get_args

import pytest

from mlpo.method.answers import is_correct, parse_answer, parse_last_line, parse_plain, think_of, well_formed
from mlpo.types import AnswerKind, Problem

KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
PIECES = (
    "<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "\\boxed ", "}", "{", "\\frac{1}{2}", "\\text{", "$",
    "####", "the answer is ", "Answer: ", "**", " or ", " and ", "(A)", "B", "yes", "not ", "42", "-", "1e999999999",
    "1/0", "½", "²", ",", ".", "\n", "\r", "\u2028", "\x00", "\ud800", " ", "\t", "=", "] ) >", "10^{10^{10}}", "x",
    "Paris", "İ", "٣", "𝟘", "*", " * ", "\\times ", "–", "minus ", "n't ", "(B) is wrong", "!",
)  # fmt: skip
"""Strange words; texts are strung together from them and from any characters at all."""
TARGETS: dict[AnswerKind, str] = {
    "integer": "42", "number": "1/2", "expression": "x^2", "choice": "B", "yes_no": "no", "word": "Paris",
    "list": "a, b", "brackets": "] }",
}  # fmt: skip
CHOICES = ("Rome", "Paris", "42", "")


def any_text(rng: random.Random) -> str:
    length = rng.randrange(1, 14)
    return "".join(rng.choice(PIECES) if rng.random() < 0.8 else chr(rng.randrange(0x110000)) for _ in range(length))


@pytest.mark.slow
def test_no_text_crashes_and_none_is_never_right():
    rng = random.Random(0)
    problems = {kind: Problem("p", "b", "f", "q", TARGETS[kind], kind, choices=CHOICES) for kind in KINDS}
    for number in range(int(os.environ.get("MLPO_FUZZ", "20000"))):
        text, kind = any_text(rng), KINDS[number % len(KINDS)]
        well_formed(text)
        think_of(text)
        for parse in (parse_answer, parse_plain, parse_last_line):
            answer = parse(text, kind, CHOICES if kind == "choice" else ())
            right = is_correct(answer, problems[kind], equivalent=lambda a, b: False)
            assert not (right and answer is None), text


LONG = [
    *((piece * (40_000 // len(piece))) for piece in PIECES),
    "\\boxed{" * 6_000 + "}" * 6_000,
    "the answer is " + " " * 40_000 + "x",
    "a = " + " " * 40_000 + "b",
    "is " * 14_000 + "\x00",
    "<answer>" * 5_000 + "</answer>" * 5_000,
    "1," * 20_000,
    "(" * 20_000 + ")" * 20_000,
    "<think>" * 5_000 + "</think>" * 5_000 + "<answer>1</answer>",
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["word", "choice"])
def test_a_long_text_is_read_in_seconds(kind: AnswerKind):
    for text in LONG:
        for parse in (parse_answer, parse_plain):
            started = time.process_time()
            parse(text, kind)
            assert time.process_time() - started < 5, (text[:40], parse)
