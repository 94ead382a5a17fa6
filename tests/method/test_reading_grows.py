"""Reading what a stranger wrote takes time in proportion to its length: twice the text, at most 2.5 times the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from mlpo.method.answers import last_boxed, parse_answer, parse_last_line, parse_plain, think_of, well_formed
from mlpo.method.prompts import plain, quote
from mlpo.method.strategies.corex import _SCORE
from mlpo.models.chat_template import defused
from mlpo.serving.reasoning import spoken

MOST_TIMES = 2.5
MIN_SECONDS = 0.01
"""A shorter time measures the machine."""
MAX_CHARACTERS = 256_000
"""A text of that length that is read in less is read at once."""

READERS: dict[str, Callable[[str], object]] = {
    **{
        f"plain {kind}": partial(parse_plain, kind=kind)
        for kind in ("word", "integer", "expression", "choice", "brackets")
    },
    "tagged": partial(parse_answer, kind="word"),
    "last line": partial(parse_last_line, kind="number"),
    "boxed": last_boxed,
    "think": think_of,
    "well-formed": well_formed,
    "spoken": spoken,
    "spoken, grows": partial(spoken, grows=True),
    "quote": quote,
    "draft": plain,
    "control tokens": defused,
    "score": _SCORE.findall,
}
TEXTS = (
    "It is a{ }b", "It is {a is }\x00", "is{ }", "= {= }x", "answer{ }x", "answer:{ }", "answer{ *_}x", "{answer }",
    "{####}", "#### {####  }x",
    "{\\boxed }", "\\boxed{ }x", "{\\boxed{}", "{<}", "<{ }x", "{< }x", "{<think }", "<think{ }x", "{<think>}",
    "{<answer>}", "<answer>{<b}",
    "{</think>}", "{<a}", "{ <}", "{\ufffd }", "{ }b", "{\ufffd}b", "\\[{x }", "{\\[}", "{\\[x\\]}", "{$}", "{$$}",
    "{$$x}", "{a. }b", "{1.}",
    "5.{ }x", "{abc. }", "{!}", "{*}x", "42{!}", "42{*_ }x", "{\n}", "{x\n}y", "{1,}", "{(}", "{not }", "{n't }",
    "{<|}", "{<|a}", "{<w}", "{[|a}",
    "{0.}", "{1}x", ".{0}x", "{</}", "</{ }x",
)  # fmt: skip
"""What stands in braces is repeated."""


def text_of(pattern: str, characters: int) -> str:
    before, _, rest = pattern.partition("{")
    piece, _, after = rest.rpartition("}")
    return before + piece * (characters // len(piece)) + after


def seconds(reader: Callable[[str], object], text: str, times: int = 1) -> float:
    """The least of so many, in CPU time of this thread."""
    taken = []
    for _ in range(times):
        started = time.thread_time()
        reader(text)
        taken.append(time.thread_time() - started)
    return min(taken)


def growth(reader: Callable[[str], object], pattern: str) -> float:
    """How many times as long twice a text takes that is long enough to be measured; 1 where even a long one is not."""
    characters = 4000
    while seconds(reader, text_of(pattern, characters)) < MIN_SECONDS:
        characters *= 4
        if characters > MAX_CHARACTERS:
            return 1.0
    once, twice = (seconds(reader, text_of(pattern, size), 3) for size in (characters, 2 * characters))
    return twice / once


@pytest.mark.parametrize("name", READERS)
def test_what_was_quadratic_takes_twice_the_time(name: str):
    assert_linear(name, ("It is a{ }b", "{ }b", "<{ }x", "{<think }", "<answer>{<b}"))


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_twice_the_text_takes_twice_the_time(name: str):
    assert_linear(name, TEXTS)


def assert_linear(name: str, patterns: tuple[str, ...]) -> None:
    reader = READERS[name]
    for pattern in patterns:
        again = 0
        while (times := growth(reader, pattern)) > MOST_TIMES and again < 3:  # a busy machine
            again += 1
        assert times <= MOST_TIMES, (name, pattern, times)


def test_the_measure_tells_a_square():
    assert growth(lambda text: [text.count("b") for _ in range(len(text) // 40)], "{a}b") > MOST_TIMES
