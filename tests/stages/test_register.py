"""Stage `register`: a version with its evaluation, once; what it writes for DVC depends on the leader alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.evaluation.policy import write_policy
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import (
    CONSULT_POLICY,
    METRICS,
    MLPO_LEADER,
    PROBLEM_STATISTICS,
    REGISTERED,
    SFT_LEADER,
    TEST_PROBLEMS,
    TRANSCRIPTS,
    proposals_of,
)
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.prompts import leader_text
from mlpo.stages import evaluate, propose, register
from mlpo.tracking.promotion import promote
from mlpo.tracking.registry import champion_folder, leaders
from mlpo.types import Request
from tests.tracking.candidates import write_leader

pytestmark = pytest.mark.slow


def reply(request: Request) -> str:
    """Agents say 11; a leader adds."""
    number = int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1])
    return "11" if request.model != "leader" else leader_text("I add.", str(number + 1))


@pytest.fixture
def evaluated(house: Path, params: Params) -> Params:
    """A house up to and with its evaluation."""
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    for folder in (SFT_LEADER, MLPO_LEADER):
        write_leader(folder, folder.name)
    evaluate.run(params, models=ScriptedModels(reply))
    return params


def test_the_leader_becomes_a_version_with_its_evaluation(
    evaluated: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    register.run(evaluated)
    assert capsys.readouterr().out == "leader version 1\nchampion: there is no champion yet\n"
    assert (champion_folder() / "model.safetensors").read_text(encoding="utf-8") == MLPO_LEADER.name
    stored = json.loads((champion_folder() / "evaluation.json").read_text(encoding="utf-8"))
    assert (stored["invalid_rate"], set(stored["scores"].values())) == (0.0, {True})
    leader = json.loads(METRICS.read_text(encoding="utf-8"))["strategies"]["leader"]
    assert {name: stored[name] for name in ("prompt_tokens", "completion_tokens")}.items() <= leader.items()
    assert len(stored["scores"]) == 4
    card = (champion_folder() / "README.md").read_text(encoding="utf-8")
    assert "| MLPO leader + team | 1.000 |" in card


@pytest.mark.parametrize("when", ["unsure", "never"])
def test_a_leader_that_does_not_always_ask_is_judged_as_it_will_be_played(
    evaluated: Params, raw_params: dict[str, Any], when: str
) -> None:
    line = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
    write_policy(ConsultPolicy("entropy", line, line, line, ask_below=0.5, again_below=0.5, basis={"n": 7}))
    params = parse_params(raw_params | {"consult": {"when": when}})
    evaluate.run(params, models=ScriptedModels(reply))
    register.run(params)
    stored = json.loads((champion_folder() / "evaluation.json").read_text(encoding="utf-8"))
    strategies = json.loads(METRICS.read_text(encoding="utf-8"))["strategies"]
    played = strategies["leader_consult" if when == "unsure" else "leader_solo"]
    assert {name: stored[name] for name in ("prompt_tokens", "completion_tokens")}.items() <= played.items()
    carried = champion_folder() / "consult.json"
    assert carried.is_file() == (when == "unsure") == ("consult" in json.loads(REGISTERED.read_text()))
    if when == "unsure":
        assert json.loads(carried.read_text()) == json.loads(CONSULT_POLICY.read_text())


def test_the_card_shows_a_prompt_as_the_leader_sees_it(evaluated: Params) -> None:
    register.run(evaluated)
    card = (champion_folder() / "README.md").read_text(encoding="utf-8")
    with_team, alone = card.partition("Alone:")[::2]
    assert "    adder: 11\n" in with_team
    assert "    user: 10 + 1?\n\nIt answers" in alone


def test_registering_again_changes_nothing_and_says_so(evaluated: Params, capsys: pytest.CaptureFixture[str]) -> None:
    register.run(evaluated)
    before = REGISTERED.read_bytes()
    capsys.readouterr()
    register.run(evaluated)
    assert capsys.readouterr().out.startswith("leader version 1 (registered before)\nchampion: ")
    assert REGISTERED.read_bytes() == before
    assert len(leaders()) == 1


def test_registering_a_leader_again_that_has_lost_the_lead_names_who_leads(
    evaluated: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    register.run(evaluated)
    (MLPO_LEADER / "model.safetensors").write_text("another", encoding="utf-8")
    register.run(evaluated)
    promote(2, force=True, reason="a drill")
    (MLPO_LEADER / "model.safetensors").write_text(MLPO_LEADER.name, encoding="utf-8")
    capsys.readouterr()
    register.run(evaluated)
    state = "promoted at the time, and version 2 is champion now: there is no champion yet"
    assert capsys.readouterr().out == f"leader version 1 (registered before)\n{state}\n"


def test_what_dvc_keeps_is_the_same_whatever_the_registry_holds(evaluated: Params) -> None:
    register.run(evaluated)
    first = REGISTERED.read_bytes()
    (MLPO_LEADER / "model.safetensors").write_text("another", encoding="utf-8")
    register.run(evaluated)
    assert REGISTERED.read_bytes() != first
    assert [leader.aliases for leader in leaders()] == [("challenger",), ("champion",)]
    (MLPO_LEADER / "model.safetensors").write_text(MLPO_LEADER.name, encoding="utf-8")
    register.run(evaluated)  # version 1 again, though there are two now
    assert REGISTERED.read_bytes() == first
    assert len(leaders()) == 2


def test_the_prompts_digest_follows_wording_and_worked_examples(
    house: Path, params: Params, raw_params: dict[str, Any]
) -> None:
    raw_params["team"]["guesser"]["system"] = "Be very brief."
    other = parse_params(raw_params)
    del raw_params["team"]["adder"]["shots"]
    fewer = parse_params(raw_params)
    told = parse_params(raw_params | {"rounds": {"tell_certainty": True}})
    assert len({register.prompts_digest(p) for p in (params, params, other, fewer, told)}) == 4


def test_what_is_missing_is_named_with_the_stage_that_makes_it(evaluated: Params) -> None:
    transcripts = TRANSCRIPTS / "leader.jsonl"
    prepared = (TEST_PROBLEMS, "prepare"), (PROBLEM_STATISTICS, "prepare")
    proposed = [(proposals_of(agent), f"propose {agent}") for agent in evaluated.team]
    for path, stage in (*prepared, (METRICS, "evaluate"), (transcripts, "evaluate"), *proposed):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ConfigError, match=f"{path}: missing; run `mlpo {stage}`"):
            register.run(evaluated)
        path.write_bytes(content)
    assert not REGISTERED.exists()
    assert leaders() == []
