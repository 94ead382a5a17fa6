"""What a client may ask for: what it means, and how a mistake is told."""

from __future__ import annotations

from typing import Any

import pytest

from mlpo.config import ServeConfig
from mlpo.serving.request import BadRequestError, Question, read_question

SUM = [{"role": "user", "content": "17 + 25?"}]


def read(**fields: Any) -> Question:
    return read_question({"model": "leader", "messages": SUM} | fields, ServeConfig())


def test_what_a_client_leaves_out_is_as_the_leader_was_registered() -> None:
    question = read()
    assert (question.problem.question, question.problem.answer_kind) == ("17 + 25?", "number")
    assert (question.num_rounds, question.temperature, question.max_tokens, question.seed) == (None, None, None, None)
    assert (question.stream, question.transcript, question.ignored_messages) == (False, False, 0)


def test_the_last_message_is_the_question_and_the_others_are_counted() -> None:
    messages = [{"role": "system", "content": "Be kind."}, *SUM, {"role": "assistant", "content": "42"}]
    parts = [{"type": "text", "text": "Capital"}, {"type": "text", "text": "of Peru?"}]
    question = read(messages=[*messages, {"role": "user", "content": parts, "name": "me"}])
    assert question.problem.question == "Capital\nof Peru?"
    assert (question.problem.answer_kind, question.ignored_messages) == ("word", 3)


def test_what_asks_for_nothing_is_passed_over() -> None:
    assert read(n=1, tools=None, stop=[], user="me", frequency_penalty=0.0, response_format={"type": "text"}) == read()


def test_the_newer_name_of_the_limit_wins() -> None:
    assert read(max_tokens=9, max_completion_tokens=7).max_tokens == 7


@pytest.mark.parametrize(
    ("fields", "status", "param", "message"),
    [
        ({"model": "gpt-4"}, 404, "model", "model 'gpt-4' does not exist; there are leader and leader-solo"),
        ({"num_rounds": 0}, 400, "num_rounds", "num_rounds: Input should be greater than or equal to 1 (got 0)"),
        ({"num_rounds": 6}, 400, "num_rounds", "num_rounds: 6 is over this server's 5; lower it"),
        ({"num_round": 2}, 400, "num_round", "num_round is unknown; did you mean num_rounds?"),
        ({"n": 2}, 400, "n", "n: not supported by a leader with a team; leave it out"),
        ({"n": True, "tools": [{}]}, 400, "tools", "tools: not supported"),
        ({"temperature": 3}, 400, "temperature", "temperature: Input should be less than or equal to 2 (got 3)"),
        ({"messages": []}, 400, "messages", "messages: List should have at least 1 item"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "messages", "the question is empty; ask something"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages", "must be the user's question, and is"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0.content", "Input"),
        ({"messages": [{"role": "user", "content": "1 + 1? \ud83d"}]}, 400, "messages", "messages: half a character"),
        ({"user": {"\ude00": "me"}}, 400, "user", "user: half a character (a lone surrogate) is in its text; cut"),
        ({"model": "\ud800"}, 400, "model", "model: half a character"),
        ({"x\ud800": 1}, 400, "x\\ud800", "x\\ud800: half a character"),
        ({"answer_kind": "poem"}, 400, "answer_kind", "answer_kind: Input should be 'integer', 'number',"),
    ],
)
def test_a_mistake_is_told_with_its_field_and_its_mend(
    fields: dict[str, Any], status: int, param: str, message: str
) -> None:
    with pytest.raises(BadRequestError) as told:
        read(**fields)
    refused = told.value.refused
    assert refused.status == status
    assert str(refused.param).startswith(param)
    assert message in refused.message
    assert refused.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]


def test_a_body_that_is_no_object_or_lacks_a_field_is_told() -> None:
    for raw, message in (([], "the body must be a JSON object"), ({"model": "leader"}, "messages is missing; add it")):
        with pytest.raises(BadRequestError, match=message):
            read_question(raw, ServeConfig())


def test_too_many_brackets_are_told_and_do_no_harm() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(BadRequestError, match="metadata: too many brackets inside each other; ask with fewer"):
        read(metadata=nested)
