"""The scripted backend keeps to what a model would do."""

from __future__ import annotations

from mlpo.inference.scripted import ScriptedBackend
from mlpo.types import Message, Request, Sampling


def test_a_long_reply_is_cut_and_says_so() -> None:
    request = Request("p", "geo", (Message("user", "two words"),), Sampling(max_tokens=2), seed=0)
    (completion,) = ScriptedBackend(lambda _: "one two three").generate([request])
    assert (completion.text, completion.finish_reason) == ("one two", "length")
    assert (completion.prompt_tokens, completion.completion_tokens) == (2, 2)
