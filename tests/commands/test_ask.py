"""`mlpo ask`: what a person sees, and which kind of answer a question wants."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mlpo.commands import ask
from mlpo.config import ConfigError, Params, RoundsConfig, parse_params
from mlpo.evaluation.policy import write_policy
from mlpo.evaluation.question import answer_kind
from mlpo.inference.backend import failed
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import MLPO_LEADER, passages_of
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.prompts import AgentPrompt, leader_text
from mlpo.store import write_jsonl_atomic
from mlpo.tracking.register import register_leader
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Completion, Passage, Request
from tests.tracking.candidates import LEADER_MODEL, candidate, write_leader


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("17 + 25?", "number"),
        ("What is 6*7?", "number"),
        ("How many legs has a spider?", "number"),
        ("What is the capital of Peru?", "word"),
        ("Which 2 colours make green?", "word"),
        ("Write 42 in words.", "word"),
    ],
)
def test_a_sum_wants_a_number_and_all_else_a_word(question: str, kind: str) -> None:
    assert answer_kind(question) == kind


def shown(params: Params, models: ScriptedModels, question: str = "17 + 25?") -> str:
    screen = io.StringIO()
    ask.run(params, question, models=models, console=Console(file=screen, width=200, no_color=True))
    return screen.getvalue()


def test_how_sure_an_agent_is_stands_beside_its_name(house: Path, raw_params: dict[str, Any]) -> None:
    MLPO_LEADER.mkdir(parents=True)

    def reply(request: Request) -> str | Completion:
        if request.model == LEADER:
            return leader_text("", "42")
        doubt = {"adder": 0.0943, "guesser": 1.0}[request.model] if request.sampling.entropy else None
        return Completion(request.problem_id, request.model, "42", "stop", 9, 1, entropy=doubt)

    told = shown(parse_params(raw_params | {"rounds": {"tell_certainty": True}}), ScriptedModels(reply))
    assert "adder (91 % sure): 42" in told
    assert "guesser (37 % sure): 42" in told
    assert " sure" not in shown(parse_params(raw_params), ScriptedModels(reply))


def test_what_an_agent_looked_up_stands_under_its_proposal(house: Path, raw_params: dict[str, Any]) -> None:
    MLPO_LEADER.mkdir(parents=True)
    raw_params["team"]["adder"]["reference"] = {"source": "sums.md"}
    write_jsonl_atomic(passages_of("adder"), [Passage("17 + 25 is [42]."), Passage("8 + 1 is 9.")])
    reply = ScriptedModels(lambda request: leader_text("", "42") if request.model == LEADER else "42")
    lines = shown(parse_params(raw_params), reply).splitlines()
    [place, _] = [number for number, line in enumerate(lines) if "adder: 42" in line]
    assert "    looked up: 17 + 25 is [42]." in lines[place + 1]
    assert not any("looked up" in lines[n + 1] for n, line in enumerate(lines) if "guesser: 42" in line)


def test_proposals_thinking_and_answer_are_shown_round_by_round(house: Path, params: Params) -> None:
    MLPO_LEADER.mkdir(parents=True)

    def reply(request: Request) -> str | Completion:
        if request.model == LEADER:
            return leader_text("[adder] is right", "42")
        later = "Your leader says: [adder] is right 42\n" in request.messages[-1].content
        if later and request.model == "guesser":
            return failed(request, "down")
        return f"{request.model} says 4{len(request.messages) + later}"

    text = shown(params, ScriptedModels(reply))
    first, second = text.index("round 0"), text.index("round 1")
    assert "no champion yet" in text[:first]
    # the adder has 2 worked examples: 6 messages; the guesser 2; two more in round 1, and 1 for its draft
    assert "adder: adder says 46" in text[first:second]
    assert "guesser: guesser says 42" in text[first:second]
    assert "leader thinks: [adder] is right" in text[first:second]
    assert "adder: adder says 49" in text[second:]
    assert "guesser: failed: down" in text[second:]
    assert text.rstrip().endswith("answer: 42")


def test_the_champion_answers_with_the_team_it_was_registered_with(house: Path, params: Params) -> None:
    write_leader(MLPO_LEADER, "weights")
    team = [AgentPrompt("adder", "Be brief."), AgentPrompt("guesser", "Guess.")]
    with stage_run("register", params) as run:
        register_leader(run, replace(candidate(params, "01"), team=team), inputs=[], code=LEADER_MODEL)
    asked: list[Request] = []

    def reply(request: Request) -> str:
        asked.append(request)
        return leader_text("Hm.", "42") if request.model == LEADER else "42"

    of_checkout = {"team": {"other": params.team["adder"]}, "rounds": RoundsConfig(num_rounds=1)}
    text = shown(params.model_copy(update=of_checkout), ScriptedModels(reply))
    assert text.splitlines()[0].endswith("the champion, 2 agents")
    assert [request.model for request in asked].count(LEADER) == params.rounds.num_rounds == 2
    assert {request.messages[0].content for request in asked if request.model == "guesser"} == {"Guess."}


def test_an_answer_that_cannot_be_read_is_said_to_be_none(house: Path, params: Params) -> None:
    MLPO_LEADER.mkdir(parents=True)
    text = shown(params, ScriptedModels(lambda _: "[bold] well"), "What is the capital of Peru?")
    assert "leader answers: nothing that can be read" in text
    assert text.rstrip().endswith("answer: no answer could be read")


def test_mistakes_are_named(house: Path, params: Params) -> None:
    with pytest.raises(ConfigError, match="the question is empty"):
        ask.run(params, "  ")
    with pytest.raises(ConfigError, match="no champion and no leader in data/leaders/mlpo; run the pipeline first"):
        ask.run(params, "17 + 25?")


@pytest.mark.parametrize(("doubt", "titles"), [(0.2, ["alone"]), (0.8, ["alone", "round 0", "round 1"])])
def test_a_leader_that_is_sure_answers_without_its_team(
    house: Path, raw_params: dict[str, Any], doubt: float, titles: list[str]
) -> None:
    MLPO_LEADER.mkdir(parents=True)
    line = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
    write_policy(ConsultPolicy("entropy", line, line, line, ask_below=0.5, again_below=0.5))

    def reply(request: Request) -> Completion:
        text = leader_text("hm", "42") if request.model == LEADER else "41"
        return Completion(request.problem_id, request.model, text, "stop", 5, 2, entropy=doubt)

    text = shown(parse_params(raw_params | {"consult": {"when": "unsure"}}), ScriptedModels(reply))
    assert re.findall(r"─ (alone|round \d) ─", text) == titles
    assert text.rstrip().endswith("answer: 42")
