"""What a chat shows of a leader's completion: whole, and while it grows."""

from __future__ import annotations

import pytest

from mlpo.serving.reasoning import Spoken, spoken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>a is right</think><answer>Lyon</answer>", Spoken("a is right", "Lyon")),
        (" <think>a</think> <answer>3 < 4</answer>", Spoken("a", "3 < 4")),
        ("Lyon, I say", Spoken("", "Lyon, I say")),
        ("<think>on and on", Spoken("on and on", "")),
        ("", Spoken("", "")),
    ],
)
def test_thinking_and_answer_stand_apart_without_tags(text: str, shown: Spoken) -> None:
    assert spoken(text) == shown


@pytest.mark.parametrize(
    "text", ["<think>so 3 < 4 <b> it\nis</think>\n<answer> 3 < 4 </answer>", "no tags <at all", "…"]
)
def test_each_part_of_a_completion_that_grows_only_grows_and_ends_as_the_whole(text: str) -> None:
    seen = Spoken("", "")
    for end in range(len(text) + 1):
        now = spoken(text[:end], grows=True)
        assert now.thinking.startswith(seen.thinking)
        assert now.answer.startswith(seen.answer)
        assert "think>" not in now.thinking + now.answer
        seen = now
    whole = spoken(text)
    assert whole.thinking.startswith(seen.thinking)
    assert whole.answer.startswith(seen.answer)
