"""The round that training adds: each agent sees its own proposal and the draft, as rounds.share lets them travel."""

from __future__ import annotations

from typing import Any

from mlpo.config import Params, parse_params
from mlpo.inference.scripted import ScriptedBackend
from mlpo.method.prompts import AgentPrompt, leader_text
from mlpo.method.strategies.leader_rounds import agent_request
from mlpo.team.refresh_proposals import NextRound
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.types import Completion, Problem, Request

PROBLEM = Problem("p", "basics", "sum", "1 + 1?", "2", "integer")
DRAFT = leader_text("I trust guesser.", "7")


def renewed(params: Params) -> tuple[TrainingPrompt, dict[str, Request]]:
    """What the leader is shown next, and what was asked for it, by agent."""
    asked: dict[str, Request] = {}

    def reply(request: Request) -> str:
        asked[request.model] = request
        return "I count 2." if request.model == "adder" else "Surely 9."

    said = {"guesser": "Why not 7?", "adder": "One and one are 2."}
    first = tuple(Completion("p", agent, text, "stop", 5, 3, sample=3) for agent, text in said.items())
    team = [AgentPrompt(agent, "Be brief.") for agent in params.team]
    ask = NextRound(params, team, dict.fromkeys(params.team, ScriptedBackend(reply)), lambda a, b: False)
    [prompt] = ask([TrainingPrompt(PROBLEM, first, 1, refresh=True)], [DRAFT])
    return prompt, asked


def test_each_sees_its_own_words_and_the_draft_and_the_leader_sees_what_they_say_then(params: Params) -> None:
    prompt, asked = renewed(params)
    assert [(c.model, c.text) for c in prompt.proposals] == [("guesser", "Surely 9."), ("adder", "I count 2.")]
    assert (prompt.num_correct, prompt.refresh) == (1, False)
    assert "Why not 7?" in asked["guesser"].messages[-2].content
    assert "One and one" not in str(asked["guesser"].messages)
    assert "I trust guesser." in asked["adder"].messages[-1].content


def test_where_answers_travel_neither_side_sees_more(raw_params: dict[str, Any]) -> None:
    prompt, asked = renewed(parse_params(raw_params | {"rounds": {"share": "answer"}}))
    assert [c.text for c in prompt.proposals] == ["9", "2"]
    assert "7" in asked["adder"].messages[-1].content
    assert "I trust" not in str(asked["adder"].messages)


def test_where_the_leader_sees_how_sure_they_are_it_sees_it_of_their_new_words_too(raw_params: dict[str, Any]) -> None:
    prompt, _ = renewed(parse_params(raw_params | {"rounds": {"agreement_samples": 2}}))
    assert [(c.model, c.agreement) for c in prompt.proposals] == [("guesser", (2, 2)), ("adder", (2, 2))]
    assert "adder (2 of 2): I count 2." in prompt.messages[-1].content


def test_where_the_leader_is_told_how_sure_they_are_they_are_asked_for_it(raw_params: dict[str, Any]) -> None:
    _, asked = renewed(parse_params(raw_params | {"rounds": {"tell_certainty": True}}))
    assert {request.sampling.entropy for request in asked.values()} == {True}


def test_every_sample_and_round_has_a_seed_of_its_own(params: Params) -> None:
    _, asked = renewed(params)
    assert {request.sample for request in asked.values()} == {3}
    from_round_0 = agent_request(
        PROBLEM, AgentPrompt("adder", "Be brief."), asked["adder"].sampling, params.seed, sample=3
    )
    assert asked["adder"].seed != from_round_0.seed
