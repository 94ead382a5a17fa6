"""What an agent finds in its documents: the passage that shares most of the question's rarer words."""

from __future__ import annotations

import logging

import pytest

from mlpo.references.index import ReferenceIndex
from mlpo.types import Passage

PLURALS = [Passage(f"The plural of {word} is {word}s.") for word in ("artist", "girl", "river", "clock", "bird")]
PRODUCTS = [Passage(f"{left} times {right} is {left * right}.") for left in range(2, 10) for right in range(2, 10)]


def test_the_rarest_word_decides() -> None:
    index = ReferenceIndex([*PLURALS, Passage("A river is a plural of drops.")], 1)
    assert index.look_up("What is the plural of clock?") == (PLURALS[3],)


def test_single_digits_tell_products_apart() -> None:
    index = ReferenceIndex(PRODUCTS, 1)
    for left, right in ((7, 8), (7, 9), (2, 3)):
        (found,) = index.look_up(f"What is {left} times {right}?")
        assert set(found.text.split()[:3]) == {str(left), "times", str(right)}


def test_equals_are_drawn_by_the_question() -> None:
    index = ReferenceIndex(PLURALS, 1)
    found = {index.look_up(f"What is the plural of unknown{n}?") for n in range(40)}
    assert len(found) == len(PLURALS)
    assert index.look_up("What is the plural of army?") == ReferenceIndex(PLURALS, 1).look_up(
        "What is the plural of army?"
    )


def test_the_best_come_first_and_no_more_than_share_a_word() -> None:
    index = ReferenceIndex([Passage("red"), Passage("red apple"), Passage("green pear")], 3)
    assert [p.text for p in index.look_up("red apple")] == ["red apple", "red"]
    assert index.look_up("blue") == ()
    assert index.look_up("?") == ()


def test_a_score_says_how_near_the_best_passage_is() -> None:
    index = ReferenceIndex(PLURALS, 1)
    scores = [index.score(f"What is the plural of {word}?") for word in ("girl", "army")]
    assert scores[0] > scores[1] > 0 == index.score("7 x 8")


def test_nothing_to_look_up_in_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one passage"):
        ReferenceIndex([], 1)


def test_the_library_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ReferenceIndex(PLURALS, 1)
    assert caplog.records == []
