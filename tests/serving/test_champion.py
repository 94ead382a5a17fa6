"""A version of the leader: it plays as it was evaluated, but for what a question sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, RuntimeConfig, ServeConfig
from mlpo.evaluation.contest import leader_sampling
from mlpo.inference.scripted import ScriptedModels
from mlpo.serving.champion import open_champion
from mlpo.serving.request import Question, read_question
from mlpo.tracking.description import PARAMS_FILE, TEAM_FILE
from mlpo.types import LEADER, Request
from tests.serving.conftest import reply
from tests.serving.seated import champion

SOLO = f"{LEADER}-solo"


def question(**fields: Any) -> Question:
    return read_question(
        {"model": LEADER, "messages": [{"role": "user", "content": "17 + 1?"}]} | fields, ServeConfig()
    )


def asked(params: Params, **fields: Any) -> Request:
    """What the leader alone is asked."""
    [request] = next(champion(params, ScriptedModels(reply)).run(question(model=SOLO, **fields)))
    return request


def test_what_a_question_leaves_open_is_as_the_leader_was_evaluated(params: Params) -> None:
    assert asked(params).sampling == leader_sampling(params)


def test_what_a_question_sets_is_done_within_what_the_leader_was_trained_for(params: Params) -> None:
    trained = leader_sampling(params).max_tokens
    set_by_client = asked(params, temperature=0.5, top_p=0.25, max_tokens=3).sampling
    assert (set_by_client.temperature, set_by_client.top_p, set_by_client.max_tokens) == (0.5, 0.25, 3)
    assert asked(params, max_tokens=trained + 1).sampling.max_tokens == trained
    assert asked(params, temperature=0).sampling.temperature == 0


def test_a_seed_is_the_clients_and_equal_seeds_are_equal_requests(params: Params) -> None:
    assert asked(params, seed=1) == asked(params, seed=1)
    assert len({asked(params, **fields).seed for fields in ({}, {"seed": 1}, {"seed": 2})}) == 3
    assert asked(params, seed=params.seed) == asked(params)


def test_rounds_are_the_questions_or_the_leaders_and_alone_there_is_one(params: Params) -> None:
    leader = champion(params, ScriptedModels(reply))
    assert leader.rounds_of(question()) == params.rounds.num_rounds == 2
    assert leader.rounds_of(question(num_rounds=4)) == 4
    assert leader.rounds_of(question(num_rounds=4, model=SOLO)) == 1


def write_folder(folder: Path, params: Params) -> Path:
    """What `register` writes beside the weights."""
    (folder / PARAMS_FILE).write_text(json.dumps(params.model_dump(mode="json", by_alias=True)))
    (folder / TEAM_FILE).write_text(json.dumps([{"name": name, "system": "", "shots": []} for name in params.team]))
    return folder


def test_a_leader_is_loaded_before_it_is_seated(params: Params, tmp_path: Path) -> None:
    models = ScriptedModels(reply)
    opened = open_champion(3, write_folder(tmp_path, params), "m-1", RuntimeConfig(), models)
    assert (opened.version, opened.model_id, opened.agents) == (3, "m-1", ("adder", "guesser"))
    assert models.opened == [models.identity(str(tmp_path), None)]


def test_a_team_whose_server_each_stage_starts_is_refused(params: Params, tmp_path: Path) -> None:
    raw = params.model_dump(mode="json", by_alias=True)
    raw["team"]["guesser"]["server"] = {"serve": "vllm"}
    with pytest.raises(ConfigError, match="version 3: each stage starts its agent guesser"):
        open_champion(
            3, write_folder(tmp_path, Params.model_validate(raw)), None, RuntimeConfig(), ScriptedModels(reply)
        )
