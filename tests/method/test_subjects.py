"""What a question asks about is told from what all questions say, and a proposal that speaks of it from others."""

from __future__ import annotations

import pytest

from mlpo.method.rare_words import WordCounts
from mlpo.method.subjects import Subject, other_subject, subject_of

NOUNS = ("army", "artist", "fly", "city", "box", "table", "ox", "pen", "hand", "foot")
COUNTS = WordCounts.of(
    [f"What is the plural of {noun}?" for noun in NOUNS]
    + [f"What is the capital of {country}?" for country in ("South Korea", "Mali", "Togo", "North Korea", "Chad")]
    + [f"What is {left} times {right}?" for left, right in ((7, 8), (7, 9), (3, 8), (4, 5), (6, 6))]
)


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("What is the plural of army?", "army"),
        ("What is the capital of South Korea?", "South Korea"),
        ("What is 7 times 8?", "7 times 8"),
        ("What is the capital of Wakanda?", "Wakanda"),  # a word of no question is the rarest of all
        ("Natalia sold 48 clips in April and half as many in May. How many did she sell?", "Natalia"),  # of many, one
    ],
)
def test_a_question_asks_about_its_rarest_words_in_a_row(question: str, phrase: str) -> None:
    assert subject_of(question, COUNTS) == Subject(phrase)


def test_a_question_without_a_word_asks_about_nothing() -> None:
    assert subject_of("?", COUNTS) is None


def test_a_text_speaks_of_a_subject_if_it_holds_all_its_words() -> None:
    assert Subject("South Korea").is_in("The capital of south KOREA is Seoul.")
    assert not Subject("South Korea").is_in("The capital of North Korea is Pyongyang.")
    assert not Subject("army").is_in("armies")


@pytest.mark.parametrize(
    ("text", "question", "phrase"),
    [
        ("The plural of artist is artists.", "What is the plural of army?", "artist"),
        ("The capital of South Sudan is Juba.", "What is the capital of Mali?", "South Sudan"),
        ("7 times 9 is 63.", "What is 7 times 8?", "9"),  # 7 was asked for, too
        ("The plural of army is army.", "What is the plural of army?", None),
        ("", "What is the plural of army?", None),
    ],
)
def test_what_else_a_text_speaks_of_is_its_first_rare_words_that_were_not_asked_for(
    text: str, question: str, phrase: str | None
) -> None:
    found = other_subject(text, question, COUNTS)
    assert (found.phrase if found else None) == phrase
