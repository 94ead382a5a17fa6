"""A shared passage of 13 words is found, whatever its case and punctuation; a benchmark's own wording is not one."""

from __future__ import annotations

from mlpo.method.contamination import MAX_TRAINING_PROBLEMS, contaminated
from mlpo.types import Problem

PASSAGE = "the quick brown fox jumps over the lazy dog and runs away fast"  # 13 words


def asking(question: str) -> Problem:
    return Problem(question, "sums", "sums", question, "1", "integer")


def test_thirteen_shared_words_are_contamination_and_twelve_are_not():
    train = [asking(f"Once, {PASSAGE}. Why?")]
    twelve = asking(f"Then {PASSAGE.rsplit(' ', 1)[0]} slowly?")
    thirteen = asking("So: The QUICK brown fox jumps, over the lazy dog; and runs away -- fast!")
    assert contaminated(train, [twelve, thirteen, asking("fox?")]) == (thirteen,)


def test_wording_of_many_training_problems_is_a_template():
    test = [asking(f"{PASSAGE} z")]
    shared = [asking(f"{PASSAGE} {n}") for n in range(MAX_TRAINING_PROBLEMS)]
    assert contaminated(shared, test) == tuple(test)
    assert contaminated([*shared, asking(f"{PASSAGE} more")], test) == ()


def test_a_passage_that_one_problem_repeats_counts_once():
    train = [asking(f"{PASSAGE} and then " * (MAX_TRAINING_PROBLEMS + 1))]
    test = [asking(PASSAGE)]
    assert contaminated(train, test) == tuple(test)
