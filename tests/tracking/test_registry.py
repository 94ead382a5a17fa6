"""Registered leaders, on a real store: once each, with their origin and their files."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlpo.config import ConfigError, Params
from mlpo.layout import TRANSCRIPTS
from mlpo.tracking.connect import Connection, as_global_store, connect
from mlpo.tracking.evaluations import add_evaluation, evaluations_of
from mlpo.tracking.registry import Shown, champion_folder, leaders, model_id_of, version_folder, versions
from mlpo.tracking.stage_run import stage_run
from mlpo.tracking.traces import log_transcripts
from mlpo.types import Problem, Transcript
from tests.tracking.candidates import MLPO, PROBLEMS, candidate, register, write_leader


@pytest.mark.usefixtures("trained")
def test_the_first_leader_is_challenger_and_champion(params: Params) -> None:
    registered = register(candidate(params))
    assert (registered.version, registered.new, registered.decision.promoted) == (1, True, True)
    [leader] = leaders()
    assert leader.aliases == ("challenger", "champion")
    assert leader.decision == registered.decision
    shown = candidate(params).evaluation.problems
    assert leader.evaluation == Shown(0.5, (0.2, 0.8), num_problems=4, problems=shown, invalid_rate=0.0)
    assert leader.base_model == "embedded@abc"


def test_a_team_that_may_look_up_other_documents_is_another_team(params: Params, tmp_path: Path) -> None:
    agent, *_ = params.team
    teams = set()
    for name, text in (("a", "One."), ("b", "Two."), ("c", "Two.")):
        (tmp_path / name).write_text(text)
        teams.add(replace(candidate(params), references={agent: tmp_path / name}).identity["team"])
    assert len(teams) == 2  # what is said counts, not where the file lies
    assert candidate(params).identity["team"] not in teams


@pytest.mark.usefixtures("trained")
def test_the_champions_folder_holds_the_weights_and_their_description(params: Params) -> None:
    register(candidate(params))
    folder = champion_folder()
    assert (folder / "model.safetensors").read_bytes() == (MLPO / "model.safetensors").read_bytes()
    stored = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert stored["scores"] == {"p0": False, "p1": False, "p2": True, "p3": True}


@pytest.mark.usefixtures("trained")
def test_mlflow_reads_a_versions_signature_example_and_flavours(params: Params, connection: Connection) -> None:
    import mlflow

    register(candidate(params))
    with as_global_store(connection):
        info = mlflow.models.get_model_info("models:/leader@champion")
    assert info.signature is not None
    assert [column.name for column in info.signature.inputs] == ["question"]
    assert [column.name for column in info.signature.outputs][:2] == ["answer", "text"]
    assert info.flavors.keys() == {"transformers", "python_function"}
    assert info.flavors["python_function"]["model_code_path"] == "leader_model.py"
    folder = champion_folder()
    example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    assert example == [{"question": "Capital of France?"}]
    assert (folder / "components/tokenizer/tokenizer_config.json").is_file()
    assert not list(folder.rglob("*.pkl"))


@pytest.mark.usefixtures("trained")
def test_registering_the_same_leader_again_finds_its_version(params: Params, connection: Connection) -> None:
    first, again = register(candidate(params)), register(candidate(params))
    assert (again.version, again.new, again.decision) == (first.version, False, first.decision)
    assert len(versions(connection)) == 1
    other = register(candidate(params, weights="w1"))
    assert (other.version, other.new) == (2, True)


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_the_traces_of_its_evaluation_belong_to_the_version(params: Params, connection: Connection) -> None:
    import mlflow

    TRANSCRIPTS.mkdir(parents=True)
    (TRANSCRIPTS / "leader.jsonl").write_text("{}", encoding="utf-8")
    with stage_run("evaluate", params, outputs=[TRANSCRIPTS]) as run:
        problem = Problem("p1", "basics", "capital", "Capital of France?", "Paris", "word")
        log_transcripts(run, [(problem, Transcript("p1", "leader", (), None), False)])
    version = register(candidate(params)).version
    with as_global_store(connection):
        found = mlflow.search_traces(
            locations=[connection.experiment_id], model_id=model_id_of(connection, version), return_type="list"
        )
    assert len(found) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_registration_cut_before_its_decision_is_decided_the_next_time(
    params: Params, connection: Connection
) -> None:
    registered = register(candidate(params))
    connection.client.delete_model_version_tag("leader", str(registered.version), "decision")
    connection.client.delete_registered_model_alias("leader", "champion")
    assert register(candidate(params)).decision.promoted
    assert leaders()[0].aliases == ("challenger", "champion")


def test_without_a_champion_its_folder_is_a_users_error(connection: Connection) -> None:
    with pytest.raises(ConfigError, match="no leader is champion yet"):
        champion_folder()
    assert leaders() == []


@pytest.mark.usefixtures("trained")
def test_a_version_carries_the_team_its_sampling_and_the_evaluation(params: Params, connection: Connection) -> None:
    register(candidate(params))
    [version] = versions(connection)
    team = json.loads(version.tags["team"])
    assert team["geo"]["sampling"]["temperature"] == 0.7
    assert [version.tags[name] for name in ("K", "T", "G", "seed", "licence")] == ["2", "2", "8", "0", "apache-2.0"]
    assert version.tags["evaluation.interval"] == "[0.2, 0.8]"


@pytest.mark.usefixtures("trained")
def test_the_identity_changes_with_what_a_leader_is_and_with_nothing_else(params: Params) -> None:
    one = candidate(params)
    same = [one, replace(one, folder=Path("elsewhere")), replace(one, table="")]
    assert len({json.dumps(c.identity) for c in same}) == 1
    team = params.model_copy(update={"team": {"geo": params.team["geo"]}})
    other = [one, candidate(params, weights="w1"), candidate(params, "1111"), replace(one, params=team)]
    assert len({json.dumps(c.identity) for c in other}) == 4


@pytest.mark.usefixtures("trained")
def test_a_copy_that_fails_registers_nothing(params: Params, connection: Connection) -> None:
    (MLPO / "gone").symlink_to(MLPO / "nowhere")
    with pytest.raises(OSError, match="gone"):
        register(candidate(params))
    assert versions(connection) == []
    (MLPO / "gone").unlink()
    folder = version_folder(connection, register(candidate(params)).version)
    assert folder.is_dir()


@pytest.mark.slow
@pytest.mark.usefixtures("stop_server")
def test_of_a_servers_leader_the_weights_are_downloaded_once_and_for_a_comparison_never(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_leader(MLPO, "weights")
    PROBLEMS.mkdir(parents=True)
    one = candidate(params, "0" * 40)
    version = register(one).version
    on_others = replace(one.evaluation, scores={"q": True})
    add_evaluation(version, on_others)
    connection = connect()
    assert evaluations_of(connection, version) == [one.evaluation, on_others]
    assert register(candidate(params, "1" * 40, weights="w1")).decision.champion == version
    kept = Path(".mlpo/versions")
    assert not kept.exists()

    folder = version_folder(connection, version)
    assert folder == kept.absolute() / str(model_id_of(connection, version))
    assert (folder / "model.safetensors").read_text(encoding="utf-8") == "weights"
    (folder / "mark").touch()
    assert (version_folder(connection, version) / "mark").exists()
    assert [path.name for path in kept.iterdir()] == [folder.name]
    assert not [path for path in scratch.rglob("*") if path.is_file()]
