"""A served leader that asks its team only when unsure: who is asked, and what a client is told of it and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlpo.config import Params, ServeConfig, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.prompts import leader_text
from mlpo.serving.champion import Champion
from mlpo.serving.events import Done, Draft, Words
from mlpo.serving.response import Reply
from mlpo.types import LEADER, Completion, Request
from tests.serving.conftest import reply as adding
from tests.serving.seated import Asked, champion, seated
from tests.serving.test_champion import SOLO, question

LINE = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
POLICY = ConsultPolicy("entropy", LINE, LINE, LINE, ask_below=0.5, again_below=0.5)


def leader(params: Params, when: str, *, samples: int = 0, drafts: Any = None) -> Champion:
    """A champion that asks `when`; sure of 1 + 1 alone, and of whatever its team says."""
    raw = params.model_dump(mode="json", by_alias=True)
    rounds = {"continue": "while_unsure"}
    made = champion(parse_params(raw | {"consult": {"when": when, "samples": samples}, "rounds": rounds}), models())
    policy = replace(POLICY, num_samples=samples, signal="agreement" if samples else "entropy")
    made.registered = replace(made.registered, policy=policy)
    return made


def models() -> ScriptedModels:
    def reply(request: Request) -> Completion:
        asked = request.messages[-1].content
        doubt = 0.1 if asked.startswith("1 + 1?") or "adder" in asked or request.model == "adder" else 0.9
        told = doubt if request.sampling.entropy else None
        return Completion(
            request.problem_id, request.model, adding(request), "stop", 5, 2, request.sample, entropy=told
        )

    return ScriptedModels(reply)


def played(params: Params, when: str, asked: str, **fields: Any) -> list[str]:
    """Who answered, in order."""
    with seated(ServeConfig(), leader(params, when), models()) as scheduler:
        end = Asked(scheduler, asked, **fields).end()
    assert isinstance(end, Done), end
    assert end.transcript.answer == str(int(asked.split()[0]) + 1)
    return [c.model for c in end.transcript.completions]


@pytest.mark.parametrize(
    ("when", "asked", "who"),
    [
        ("unsure", "1 + 1?", [LEADER]),
        ("unsure", "17 + 1?", [LEADER, "adder", "guesser", LEADER]),
        ("never", "17 + 1?", [LEADER]),
        ("always", "1 + 1?", ["adder", "guesser", LEADER]),  # and not again, since it is sure
    ],
)
def test_the_team_is_asked_as_the_leader_was_registered(params: Params, when: str, asked: str, who: list[str]) -> None:
    assert sorted(played(params, when, asked)) == sorted(who)


def test_alone_it_is_never_asked_and_a_sampled_answer_is_never_sure(params: Params) -> None:
    assert played(params, "unsure", "17 + 1?", model=SOLO) == [LEADER]
    assert len(played(params, "unsure", "1 + 1?", temperature=0.5)) == 1 + 2 * 3  # entropy is told of greedy ones


def test_agents_are_asked_one_after_another_if_the_leader_was_registered_so(params: Params) -> None:
    raw = params.model_dump(mode="json", by_alias=True) | {"consult": {"when": "unsure", "one_by_one": True}}
    made = champion(parse_params(raw | {"rounds": {"continue": "while_unsure", "tell_certainty": True}}), models())
    made.registered = replace(made.registered, policy=replace(POLICY, partial=(LINE,)))
    asked = set()
    with seated(ServeConfig(), made, models()) as scheduler:
        for n in range(8):
            end = Asked(scheduler, f"1{n} + 1?").end()
            assert isinstance(end, Done)
            asked.add(tuple(c.model for r in end.transcript.rounds for c in r.proposals))
    assert asked == {("adder",), ("adder", "guesser")}  # the surest first; after the adder it is sure, and stops


def test_further_samples_of_an_answer_are_no_drafts(params: Params) -> None:
    made = leader(params, "unsure", samples=2)
    low, high = (ConfidenceMap(((0.0, 0.0), (1.0, p))) for p in (0.4, 1.0))  # alone even full agreement is not sure
    made.registered = replace(made.registered, policy=replace(made.registered.policy or POLICY, alone=low, first=high))
    with seated(ServeConfig(), made, models()) as scheduler:
        asked = Asked(scheduler, "17 + 1?", transcript=True)
        end = asked.end()
    assert isinstance(end, Done)
    # alone, and a round that is sure: 3 completions of the leader each, and 2 agents
    assert (asked.request_state.num_drafts, len(end.transcript.completions)) == (2, 8)


def test_only_the_end_says_which_draft_is_the_answer(params: Params) -> None:
    made = leader(params, "unsure")
    assert [made.decides_late(question(model=m)) for m in (LEADER, SOLO)] == [True, False]
    assert [leader(params, when).alone_first(question()) for when in ("unsure", "always", "never")] == [
        True,
        False,
        False,
    ]
    assert leader(params, "never").rounds_of(question()) == 1
    late = Reply(question(stream=True), 1, 2, "tr-1", 0, decides_late=True, alone_first=True)
    assert (late.opening()["mlpo"]["decides_late"], late.opening()["mlpo"]["alone_first"]) == (True, True)
    draft = Completion("p", LEADER, leader_text("No.", "17"), "stop", 5, 2)
    told = [chunk for event in (Words(1, "<think>No"), Draft(1, draft, "17")) for chunk in late.chunks(event)]
    assert told == []


def test_the_answer_is_told_with_the_words_that_gave_it(params: Params) -> None:
    with seated(ServeConfig(), leader(params, "unsure"), models()) as scheduler:
        end = Asked(scheduler, "17 + 1?").end()
    assert isinstance(end, Done)
    alone, asked = end.transcript.rounds
    assert alone.draft is not None
    given = replace(end.transcript, answer="3", rounds=(replace(alone, answer="3"), asked))  # the first was surer
    assert given.answering == alone.draft
    late = Reply(question(), 1, 2, "tr-1", 0, decides_late=True)
    assert late.whole(given)["choices"][0]["message"]["reasoning_content"] == "adder says 18 and so do I"
    assert late.whole(given)["mlpo"]["num_rounds"] == 1
