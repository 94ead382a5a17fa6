"""A leader that older code registered: what code has dropped since is passed over, unless it would change the play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, RuntimeConfig, parse_params
from mlpo.evaluation.policy import write_policy
from mlpo.evaluation.question import problem_of
from mlpo.evaluation.registered_leader import read_registered
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.scripted import ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.method.prompts import leader_text
from mlpo.store import request_key, write_jsonl_atomic
from mlpo.tracking.description import POLICY_FILE, reference_in
from mlpo.types import LEADER, Completion, Passage, Request


def write(folder: Path, raw: dict[str, Any]) -> Path:
    (folder / "params.json").write_text(json.dumps(raw))
    (folder / "team.json").write_text(json.dumps([{"name": "adder", "system": "Be brief.", "shots": []}]))
    return folder


def test_dropped_parameters_of_its_making_are_passed_over(tmp_path: Path, raw_params: dict[str, Any]) -> None:
    raw = raw_params | {"train_mlpo": {"steps": 7, "dropped": 1}, "gone": {"all": "of it"}}
    registered = read_registered(write(tmp_path, raw), RuntimeConfig(batch_tokens=99))
    expected = parse_params(raw_params | {"train_mlpo": {"steps": 7}})
    assert registered.params == expected.model_copy(update={"runtime": RuntimeConfig(batch_tokens=99)})


@pytest.mark.parametrize("section", ["rounds", "leader", "consult"])
def test_dropped_parameters_of_its_play_are_refused(tmp_path: Path, raw_params: dict[str, Any], section: str) -> None:
    raw = raw_params | {section: {**raw_params.get(section, {}), "dropped": 1}}
    with pytest.raises(ConfigError, match=rf"params.json: {section}.dropped is unknown; known keys"):
        read_registered(write(tmp_path, raw), RuntimeConfig())


def test_its_agents_look_up_what_the_version_carries(tmp_path: Path, raw_params: dict[str, Any]) -> None:
    raw_params["team"] = {"adder": {"model": "tiny", "reference": {"source": "gone/from/this/machine"}}}
    folder = write(tmp_path, raw_params)
    with pytest.raises(ConfigError, match=r"references/adder.jsonl: missing, so adder cannot look anything up"):
        read_registered(folder, RuntimeConfig())
    write_jsonl_atomic(reference_in(folder, "adder"), [Passage("12 + 1 is 13.")])
    (agent,) = read_registered(folder, RuntimeConfig()).team
    assert agent.look_up("12 + 1?") == (Passage("12 + 1 is 13."),)


def test_when_it_is_unsure_is_what_the_version_says(tmp_path: Path, raw_params: dict[str, Any]) -> None:
    folder = write(tmp_path, raw_params | {"team": {"adder": {"model": "tiny"}}, "consult": {"when": "unsure"}})
    with pytest.raises(ConfigError, match=r"consult.json: missing, so nobody knows when the leader is unsure"):
        read_registered(folder, RuntimeConfig())
    line = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
    policy = ConsultPolicy("entropy", line, line, line, ask_below=0.5, again_below=0.5)
    write_policy(policy, folder / POLICY_FILE)
    leader = read_registered(folder, RuntimeConfig())
    assert leader.policy == policy

    def reply(request: Request) -> Completion:
        doubt = 0.9 if "11 + 1" in request.messages[-1].content and request.model == LEADER else 0.1
        text = leader_text("hm", "12") if request.model == LEADER else "12"
        return Completion(request.problem_id, request.model, text, "stop", 5, 2, entropy=doubt)

    model_pool = ModelPool(ScriptedModels(reply), {}, request_key, ledger=GenerationLedger())
    sure, unsure = leader.play([problem_of("10 + 1?"), problem_of("11 + 1?")], model_pool)
    assert [c.model for c in sure.completions] == [LEADER]
    assert [c.model for c in unsure.completions][:3] == [LEADER, "adder", LEADER]
