"""A registered leader is played with its own team on problems it was not evaluated on, and its version carries it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mlpo.commands import evaluate_version
from mlpo.config import ConfigError, Params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import MLPO_LEADER, SHOT_PROBLEMS, TEST_PROBLEMS
from mlpo.method.prompts import AgentPrompt, leader_text
from mlpo.store import write_jsonl_atomic
from mlpo.tracking.connect import connect
from mlpo.tracking.evaluations import evaluations_of
from mlpo.tracking.register import register_leader
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Problem, Request
from tests.checkout import problem
from tests.tracking.candidates import LEADER_MODEL, candidate, write_leader


def reply(request: Request) -> str:
    """Agents say 11; a leader adds where an odd number is asked for, else it says nothing."""
    number = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1])
    if request.model != LEADER:
        return "11"
    return leader_text("I add.", str(number + 1)) if number % 2 else "?"


@pytest.fixture
def registered(house: object, params: Params) -> Params:
    """Version 1, evaluated on the house's test problems; then the house moves on."""
    write_leader(MLPO_LEADER, "weights")
    shot = Problem("shot", "basics", "sum", "worked?", "1", "integer")
    team = [AgentPrompt("adder", "Be brief.", (shot,)), AgentPrompt("guesser", "Be brief.")]
    with stage_run("register", params) as run:
        register_leader(run, replace(candidate(params, "01"), team=team), inputs=[], code=LEADER_MODEL)
    write_jsonl_atomic(TEST_PROBLEMS, [problem(n, "new") for n in (31, 32, 33)])
    return params


def test_it_carries_its_evaluation_on_the_new_set(registered: Params, capsys: pytest.CaptureFixture[str]) -> None:
    SHOT_PROBLEMS.unlink()  # its team's worked examples are its own
    models = ScriptedModels(reply)
    evaluate_version.run(registered, 1, models=models)
    first, again = evaluations_of(connect(), 1)
    assert first.scores.keys() == {"p0", "p1"}
    assert again.scores == {"new000031": True, "new000032": False, "new000033": True}
    assert (again.invalid_rate, again.tokens > 0) == (pytest.approx(1 / 3), True)
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.startswith(f"version 1 on evaluation set {again.problems}: 0.667 [")
    # two rounds of two agents and the leader, three problems
    assert models.backend.num_generations == 18

    evaluate_version.run(registered, 1, models=models)
    assert models.backend.num_generations == 18  # all is kept
    assert len(evaluations_of(connect(), 1)) == 2


def test_its_team_is_the_one_it_was_registered_with(registered: Params) -> None:
    asked: list[Request] = []

    def listen(request: Request) -> str:
        asked.append(request)
        return reply(request)

    alone = registered.model_copy(update={"team": {"other": registered.team["adder"]}})
    evaluate_version.run(alone, 1, models=ScriptedModels(listen))
    assert {request.model for request in asked} == {"adder", "guesser", LEADER}
    [first, *_] = [request for request in asked if request.model == "adder"]
    assert first.messages[1].content == "worked?"


def test_its_models_are_those_of_its_own_team(registered: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    teams: list[list[str]] = []

    def models_of(params: Params) -> ScriptedModels:
        teams.append(list(params.team))
        return ScriptedModels(reply)

    monkeypatch.setattr(evaluate_version, "team_models", models_of)
    evaluate_version.run(registered.model_copy(update={"team": {"other": registered.team["adder"]}}), 1)
    assert teams == [["adder", "guesser"]]


def test_what_is_missing_is_named(registered: Params) -> None:
    with pytest.raises(ConfigError, match="there is no leader version 2; known versions: 1"):
        evaluate_version.run(registered, 2)
    write_jsonl_atomic(TEST_PROBLEMS, [])
    with pytest.raises(ConfigError, match="no problems"):
        evaluate_version.run(registered, 1)
