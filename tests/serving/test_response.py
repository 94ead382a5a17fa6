"""What a client is told of what happened: only what it asked for, each word once, and how the answer ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlpo.config import ServeConfig
from mlpo.method.prompts import leader_text
from mlpo.serving.events import Done, Draft, Proposals, Words
from mlpo.serving.request import read_question
from mlpo.serving.response import Reply
from mlpo.types import LEADER, Completion, Passage, Round, Transcript


def reply_to(**fields: Any) -> Reply:
    body = {"model": LEADER, "messages": [{"role": "user", "content": "17 + 1?"}]} | fields
    return Reply(read_question(body, ServeConfig()), version=3, num_rounds=2, trace_id="tr-1", created=0)


def said(model: str, text: str, finish_reason: Any = "stop") -> Completion:
    return Completion("p", model, text, finish_reason, prompt_tokens=10, completion_tokens=2)


DRAFTS = [said(LEADER, leader_text("Hm.", "17")), said(LEADER, leader_text("Ah.", "18"), "length")]
TRANSCRIPT = Transcript(
    "p",
    "leader",
    tuple(Round((said("adder", "18"), said("guesser", "", "error")), draft, None) for draft in DRAFTS),
    "18",
)


def told(reply: Reply, *events: Any) -> list[dict[str, Any]]:
    return [chunk for event in events for chunk in reply.chunks(event)]


def test_only_the_last_rounds_words_are_the_answers() -> None:
    assert told(reply_to(stream=True), Words(0, "<think>Hm"), Draft(0, DRAFTS[0], "17")) == []
    [chunk] = told(reply_to(stream=True), Words(1, "<think>Ah"))
    assert chunk["choices"][0]["delta"] == {"reasoning_content": "Ah"}


def test_with_its_transcript_a_stream_tells_earlier_rounds_beside_the_answer() -> None:
    words, proposals = told(
        reply_to(transcript=True), Words(0, "<think>Hm"), Proposals(0, (said("adder", "18"),), ("18",))
    )
    assert words["mlpo"] == {"event": "words", "round": 0, "thinking": "Hm", "text": ""}
    assert proposals["mlpo"]["proposals"] == [{"model": "adder", "answer": "18", "finish_reason": "stop", "text": "18"}]
    assert [chunk["choices"][0]["delta"] for chunk in (words, proposals)] == [{}, {}]


def test_what_an_agent_looked_up_is_told_beside_its_proposal() -> None:
    looked_up = replace(said("adder", "18"), passages=(Passage("17 + 1 is 18.", "sums.md, passage 1"),))
    [chunk] = told(reply_to(transcript=True), Proposals(0, (looked_up, said("guesser", "5")), ("18", "5")))
    first, other = chunk["mlpo"]["proposals"]
    assert first["passages"] == [{"text": "17 + 1 is 18.", "source": "sums.md, passage 1"}]
    assert "passages" not in other


def test_how_sure_an_agent_was_is_told_beside_its_proposal_and_not_the_leaders_own_doubt() -> None:
    told_us = replace(said("adder", "18"), entropy=0.5)
    reply = reply_to(transcript=True)
    [chunk] = told(reply, Proposals(0, (told_us, said("guesser", "5")), ("18", "5")))
    assert [proposal.get("sure") for proposal in chunk["mlpo"]["proposals"]] == ["61 % sure", None]
    [chunk] = told(reply, Draft(0, replace(DRAFTS[0], entropy=0.5), "17"))
    assert "sure" not in chunk["mlpo"]["draft"]


def test_what_was_sent_stands_even_if_the_text_turns_out_otherwise() -> None:
    reply = reply_to(stream=True)
    grown = told(reply, Words(1, "no tags"), Words(1, "no tags at all"), Words(1, "<think>after all"))
    deltas = [chunk["choices"][0]["delta"] for chunk in grown]
    assert deltas == [{"content": "no tags"}, {"content": " at all"}, {"reasoning_content": "after all"}]
    assert told(reply, Words(1, "<think>after"), Words(1, "<think>other")) == []


def test_a_stream_ends_with_how_it_ended_and_tells_usage_only_if_asked() -> None:
    last = told(reply_to(stream=True), Done(TRANSCRIPT))[-1]
    assert (last["choices"][0]["finish_reason"], last["mlpo"]["event"], "usage" in last) == ("length", "done", False)
    asked = reply_to(stream=True, stream_options={"include_usage": True})
    # two rounds of three completions of 10 and 2 tokens
    assert told(asked, Done(TRANSCRIPT))[-1]["usage"] == {
        "prompt_tokens": 60, "completion_tokens": 12, "total_tokens": 72
    }  # fmt: skip


def test_a_whole_reply_names_a_dead_agent_once_and_shows_rounds_only_if_asked() -> None:
    whole = reply_to().whole(TRANSCRIPT)
    assert (whole["choices"][0]["message"]["content"], whole["choices"][0]["finish_reason"]) == ("18", "length")
    assert (whole["mlpo"]["dead_agents"], whole["mlpo"]["ignored_messages"]) == (["guesser"], 0)
    assert whole["mlpo"]["usage"]["guesser"] == {"prompt_tokens": 20, "completion_tokens": 4}
    assert "transcript" not in whole["mlpo"]
    reply = reply_to(
        transcript=True, messages=[{"role": "system", "content": "Hi."}, {"role": "user", "content": "1?"}]
    )
    reply.hear(Draft(0, DRAFTS[0], "17"))
    own = reply.whole(TRANSCRIPT)["mlpo"]
    assert (own["ignored_messages"], own["transcript"][0]["draft"]["thinking"]) == (1, "Hm.")
