"""Stages `headroom` and `calibrate`: what the team can win, what is chosen for a leader, on calibration problems."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.evaluation.policy import kept_policy, read_policy
from mlpo.evaluation.routing import read_routing
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import (
    CALIBRATION_METRICS,
    CALIBRATION_PROBLEMS,
    CONSULT_POLICY,
    HEADROOM,
    MLPO_LEADER,
    ROUTING,
    SFT_LEADER,
    TEST_PROBLEMS,
)
from mlpo.method.prompts import leader_text
from mlpo.stages import calibrate, headroom, propose
from mlpo.store import write_jsonl_atomic
from mlpo.types import Completion, Request
from tests.checkout import problem
from tests.tracking.candidates import write_leader


def reply(request: Request) -> str:
    """The adder is right below 8, the guesser never; a leader believes the adder, and alone it is right from 6."""
    question = request.messages[-1].content
    number = int(re.findall(r"(\d+) \+ 1\?", question)[-1])
    if request.model == "adder":
        return str(number + 1 if number < 8 else number + 50)
    if request.model == "guesser":
        return "99"
    heard = re.findall(r"adder: (\d+)", question)
    return leader_text("", heard[-1] if heard else str(number + 1 if number >= 6 else 7))


@pytest.fixture
def ready(house: Path, params: Params) -> Params:
    """Ten calibration problems, 0 + 1 to 9 + 1, that everybody has proposed to, and two leaders."""
    write_jsonl_atomic(CALIBRATION_PROBLEMS, [problem(n, "calibration") for n in range(10)])
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    for leader in (SFT_LEADER, MLPO_LEADER):
        write_leader(leader, leader.name)
    TEST_PROBLEMS.unlink()
    return params


class Telling(ScriptedModels):
    """Its leader tells how unsure it was: more, the smaller the number."""

    def open(self, model: str, revision: str | None) -> Any:
        backend = super().open(model, revision)
        generate = backend.generate

        def telling(requests: Any, *arguments: Any, **options: Any) -> list[Completion]:
            answers = generate(requests, *arguments, **options)
            doubt = [1.0 / (1 + int(re.findall(r"(\d+) \+ 1\?", r.messages[-1].content)[-1])) for r in requests]
            told = [d if r.sampling.entropy else None for d, r in zip(doubt, requests, strict=True)]
            return [replace(a, entropy=d) for a, d in zip(answers, told, strict=True)]

        backend.generate = telling
        return backend


def test_headroom_is_the_sft_leaders_on_calibration_problems(ready: Params, capsys: pytest.CaptureFixture[str]) -> None:
    headroom.run(ready, models=ScriptedModels(reply))
    found = json.loads(HEADROOM.read_text())
    # alone it is right on 6 to 9 (and says 7 to the others, right for 6); the adder on 0 to 7
    assert (found["n"], found["alone"], found["winnable"]["share"], found["losable"]["share"]) == (10, 0.4, 0.6, 0.2)
    assert "asking its team can win 0.600" in capsys.readouterr().out


def test_a_team_that_cannot_pay_is_warned_of(ready: Params, capsys: pytest.CaptureFixture[str]) -> None:
    def knowing(request: Request) -> str:
        number = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1])
        return leader_text("", str(number + 1)) if request.model == "leader" else reply(request)

    headroom.run(ready, models=ScriptedModels(knowing))
    assert "warning: 0 % of the problems can be won by asking this team" in capsys.readouterr().out


def test_what_is_chosen_is_chosen_on_calibration_problems(ready: Params, capsys: pytest.CaptureFixture[str]) -> None:
    calibrate.run(ready, models=Telling(reply))
    metrics = json.loads(CALIBRATION_METRICS.read_text())
    assert {name: row["accuracy"] for name, row in metrics["rounds"].items()} == {
        "alone": 0.4,
        "round 1": 0.8,
        "round 2": 0.8,
    }
    assert metrics["headroom"]["won"] - metrics["headroom"]["lost"] == 4
    assert metrics["rounds"]["round 2"]["difference_interval"] == [0.0, 0.0]
    # on training problems (0 to 2) and these the adder is right most often
    assert read_routing(ready).by_family == {"sum": "adder"}
    policy = kept_policy()
    assert policy is not None
    assert policy.alone(0.0) >= policy.alone(1.0)
    assert "round 1: 0.800" in capsys.readouterr().out


def test_a_second_run_asks_nobody_and_writes_the_same_bytes(ready: Params) -> None:
    written, asked = [], []
    for _ in range(2):
        models = Telling(reply)
        calibrate.run(ready, models=models)
        written.append([path.read_bytes() for path in (ROUTING, CONSULT_POLICY, CALIBRATION_METRICS)])
        asked.append(models.backend.num_generations)
    assert written[0] == written[1]
    # 10 problems: the leader alone and in two rounds, both agents in the second; the first is what they proposed before
    assert asked == [10 * (3 + 2), 0]


def test_without_calibration_problems_there_is_no_policy_and_it_is_said(
    ready: Params, raw_params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl_atomic(CALIBRATION_PROBLEMS, [])
    headroom.run(ready, models=ScriptedModels(reply))
    assert "there were no calibration problems" in capsys.readouterr().out
    calibrate.run(ready, models=ScriptedModels(reply))
    assert kept_policy() is None
    assert json.loads(HEADROOM.read_text()) == {}
    unsure = parse_params(raw_params | {"consult": {"when": "unsure"}})
    calibrate.run(unsure, models=ScriptedModels(reply))
    with pytest.raises(ConfigError, match=r"no policy, since there were no calibration problems; raise prepare"):
        read_policy(unsure)


def test_a_model_that_does_not_tell_its_doubt_stops_only_who_asks_by_it(
    ready: Params, raw_params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.run(ready, models=ScriptedModels(reply))
    assert kept_policy() is None
    assert "does not tell the entropy of its answers; consult.samples would do" in capsys.readouterr().out
    unsure = parse_params(raw_params | {"consult": {"when": "unsure"}})
    with pytest.raises(ValueError, match=r"set consult.samples"):
        calibrate.run(unsure, models=ScriptedModels(reply))


@pytest.mark.parametrize(("stage", "leader"), [(headroom, SFT_LEADER), (calibrate, MLPO_LEADER)])
def test_a_missing_leader_is_named(ready: Params, stage: Any, leader: Path) -> None:
    leader.rename(leader.with_name("gone"))
    with pytest.raises(ConfigError, match=f"{leader}: no leader here"):
        stage.run(ready, models=ScriptedModels(reply))
