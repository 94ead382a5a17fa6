"""A registered leader outside its checkout: MLflow loads it alone and with its team, transformers loads its export."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from mlpo.commands import export
from mlpo.config import ConfigError, Params, RuntimeConfig, parse_params
from mlpo.evaluation.question import problem_of
from mlpo.evaluation.strategies import team_strategy
from mlpo.inference.local import LocalModels
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.runner import run_strategies
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import MLPO_LEADER
from mlpo.method.prompts import LEADER_SYSTEM
from mlpo.method.strategies.baselines import solo_leader
from mlpo.models.load import load_model, save_leader
from mlpo.stages.register import LEADER_MODEL
from mlpo.store import request_key
from mlpo.team.prompts import team_prompts
from mlpo.tracking.connect import as_global_store, connect
from mlpo.tracking.register import register_leader
from mlpo.tracking.registry import champion_folder
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Sampling, Transcript
from tests.tracking.candidates import candidate, write_leader
from tests.training.conftest import SPECIALS, tiny_folder  # noqa: F401 - a fixture

QUESTION = "17 + 25?"
LONGEST = 12
BEFORE_THE_ROOMS = Path(__file__).with_name("leader_model_before_the_rooms.py")
"""The code in versions that were registered while `mlpo.agents` and `mlpo.stages.ask` held what it imports."""


@pytest.fixture(params=[LEADER_MODEL, BEFORE_THE_ROOMS], ids=["now", "before the rooms"])
def played(
    request: pytest.FixtureRequest,
    house: Path,
    raw_params: dict[str, Any],
    tiny_folder: Path,  # noqa: F811
) -> list[Transcript]:
    """What a leader said in its checkout, with its team and alone; then it is registered and all data deleted."""
    for agent in raw_params["team"].values():
        agent["model"] = str(tiny_folder)
    params = parse_params(raw_params | {"rounds": {"max_draft_tokens": LONGEST}})
    save_leader(load_model(str(tiny_folder), device="cpu", dtype="float32"), MLPO_LEADER, system=LEADER_SYSTEM)
    team = team_prompts(params)
    with stage_run("register", params) as run:
        register_leader(run, replace(candidate(params), team=team), inputs=[], code=request.param)
    transcripts = play(params, team)
    shutil.rmtree("data")
    return transcripts


def play(params: Params, team: Any) -> list[Transcript]:
    problem = problem_of(QUESTION)
    greedy = Sampling(temperature=0.0, max_tokens=LONGEST)
    alone = solo_leader(problem, leader_sampling=greedy, seed=params.seed)
    models = LocalModels(RuntimeConfig())
    with closing(ModelPool(models, {}, request_key, ledger=GenerationLedger(), max_loaded=3)) as model_pool:
        backends = {name: model_pool.backend(agent.model) for name, agent in params.team.items()}
        backends[LEADER] = model_pool.backend(str(MLPO_LEADER))
        return run_strategies([team_strategy(params, team)(problem), alone], backends)


def shown(text: str) -> str:
    """Without control tokens, which a pipeline leaves out."""
    return re.sub("|".join(SPECIALS), "", text)


@pytest.mark.slow
def test_mlflow_loads_it_alone_and_with_its_team_and_it_says_what_it_said_in_its_checkout(
    played: list[Transcript],
) -> None:
    import mlflow

    with_team, alone = played
    chat = [{"role": "user", "content": QUESTION}]  # as everybody asks; in its checkout the system message was given
    with as_global_store(connect()):
        pipeline = mlflow.transformers.load_model("models:/leader@champion")
        [told] = pipeline([chat], max_new_tokens=LONGEST, do_sample=False, return_full_text=False)
        assert told[0]["generated_text"] == shown(alone.completions[0].text)

        team = mlflow.pyfunc.load_model("models:/leader@champion")
        [row] = team.predict([{"question": QUESTION}])
    assert row["text"] == with_team.completions[-1].text
    assert row["answer"] == (with_team.answer or "")
    # two rounds of two agents and the leader
    assert len(with_team.completions) == 6
    assert row["prompt_tokens"] == sum(c.prompt_tokens for c in with_team.completions)
    assert row["completion_tokens"] == sum(c.completion_tokens for c in with_team.completions)


@pytest.mark.slow
@pytest.mark.parametrize("played", [LEADER_MODEL], indirect=True)
def test_transformers_loads_its_export_and_nothing_else_lies_there(
    played: list[Transcript],
    tiny_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    from transformers import pipeline

    folder = tmp_path / "exported" / "leader"
    export.run("champion", folder)
    assert {path.name for path in folder.iterdir()} == {p.name for p in tiny_folder.iterdir()} | {"README.md"}
    assert (folder / "model.safetensors").read_bytes() == (tiny_folder / "model.safetensors").read_bytes()
    chat = [{"role": "user", "content": QUESTION}]  # as everybody asks; in its checkout the system message was given
    [told] = pipeline("text-generation", model=str(folder))(
        [chat], max_new_tokens=LONGEST, do_sample=False, return_full_text=False
    )
    assert told[0]["generated_text"] == shown(played[1].completions[0].text)
    assert ModelCard.load(folder / "README.md").data.library_name == "transformers"


def test_an_export_hands_on_neither_the_teams_documents_nor_when_it_is_asked(
    house: Path, params: Params, tmp_path: Path
) -> None:
    write_leader(MLPO_LEADER, "weights")
    (tmp_path / "passages.jsonl").write_text('{"text": "private"}\n')
    (tmp_path / "policy.json").write_text("{}")
    held = {"references": {"adder": tmp_path / "passages.jsonl"}, "policy": tmp_path / "policy.json"}
    with stage_run("register", params) as run:
        register_leader(run, replace(candidate(params), **held), inputs=[], code=LEADER_MODEL)
    assert (champion_folder() / "references" / "adder.jsonl").read_text() == '{"text": "private"}\n'
    export.run("1", tmp_path / "exported")
    left = {path.name for path in (tmp_path / "exported").iterdir()}
    assert "model.safetensors" in left
    assert not left & {"references", "consult.json", "team.json", "params.json", "metrics.json", "evaluation.json"}


def test_an_export_writes_over_nothing(house: Path, params: Params, tmp_path: Path) -> None:
    write_leader(MLPO_LEADER, "weights")
    with stage_run("register", params) as run:
        register_leader(run, candidate(params), inputs=[], code=LEADER_MODEL)
    folder = tmp_path / "exported"
    folder.mkdir()
    export.run("1", folder)  # an empty folder is as good as none
    assert (folder / "model.safetensors").is_file()
    (folder / "model.safetensors").write_text("mine", encoding="utf-8")
    for taken in (folder, folder / "config.json"):
        with pytest.raises(ConfigError, match="nothing is overwritten"):
            export.run("1", taken)
    assert (folder / "model.safetensors").read_text(encoding="utf-8") == "mine"
    with pytest.raises(ConfigError, match="no leader is previous yet"):
        export.run("previous", tmp_path / "other")
    with pytest.raises(ConfigError, match="there is no leader version 7; known versions: 1"):
        export.run("7", tmp_path / "other")
    assert not (tmp_path / "other").exists()
