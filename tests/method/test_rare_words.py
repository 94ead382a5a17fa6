"""A question's rarer words."""

from math import log

import pytest

from mlpo.method.rare_words import WordCounts

QUESTIONS = ("What is the plural of artist?", "What is the plural of army?", "What is the capital of Peru?")
PLURALS = WordCounts.of(QUESTIONS)


def test_a_word_is_rarer_the_fewer_questions_hold_it() -> None:
    # 3 questions: "what" in all, "plural" in 2, "army" in 1, "oslo" in none
    assert [PLURALS.rarity(word) for word in ("what", "plural", "army", "oslo")] == pytest.approx(
        [0, log(4 / 3), log(4 / 2), log(4 / 1)]
    )


def test_a_word_counts_once_a_question_and_in_any_case() -> None:
    assert WordCounts.of(["Tick tick tock"]).counts == {"tick": 1, "tock": 1}
    assert PLURALS.rarity("Army") == PLURALS.rarity("army")


def test_the_overlap_sums_the_rarity_of_shared_words() -> None:
    # shared: the (0), plural, of (0), army
    said = "The plural of ARMY is armies."
    assert PLURALS.overlap("What is the plural of army?", said) == pytest.approx(log(4 / 3) + log(2))
    assert PLURALS.overlap_share("What is the plural of army?", said) == pytest.approx(1)


def test_a_proposal_about_something_else_shares_less() -> None:
    # of "plural" and "army" it holds "plural" alone
    elsewhere = "The plural of artist is artists."
    expected = log(4 / 3) / (log(4 / 3) + log(2))
    assert PLURALS.overlap_share("What is the plural of army?", elsewhere) == pytest.approx(expected)


def test_a_part_of_a_word_is_not_the_word() -> None:
    assert PLURALS.overlap("army", "armymen") == 0


def test_a_question_without_a_rare_word_overlaps_with_nothing() -> None:
    assert PLURALS.overlap_share("What is?", "What is?") == 0
    assert PLURALS.overlap_share("", "anything") == 0


def test_the_rarest_words_come_first_and_equals_as_they_stand() -> None:
    assert PLURALS.rarest("What is the plural of army in Oslo?", 3) == ("in", "oslo", "army")
    assert PLURALS.rarest("Army", 3) == ("army",)
