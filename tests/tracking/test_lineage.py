"""What belongs together is found from either end: a version's number, an MLflow run, a Prefect flow run."""

from __future__ import annotations

import pytest

from mlpo.config import ConfigError, Params
from mlpo.tracking.connect import Connection
from mlpo.tracking.lineage import lineage
from mlpo.tracking.provenance import content_md5
from mlpo.tracking.stage_run import stage_run
from tests.tracking.candidates import MLPO, PROBLEMS, candidate, register, write_leader

FLOW = "0c1f6d57-7a3b-4a0e-9a53-2f6a1d5c7e11"


@pytest.mark.usefixtures("trained")
def test_a_version_says_where_it_came_from(
    params: Params, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPO_FLOW_RUN_ID", FLOW)
    register(candidate(params))
    [origin] = lineage("1")
    stages = {run: connection.client.get_run(id_).data.tags.get("mlpo.stage") for run, id_ in origin.runs.items()}
    assert stages == {"train_sft": "train_sft", "train_mlpo": "train_mlpo", "register": "register", "pipeline": None}
    assert origin.content == {"data/problems": content_md5(PROBLEMS)}
    assert origin.flow_runs == {"register": FLOW}  # nothing was trained by a flow
    assert (origin.version, len(origin.git_commit), origin.git_dirty) == (1, 40, False)
    for reference in (origin.runs["train_sft"], origin.runs["pipeline"], FLOW):
        assert lineage(reference) == [origin]


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_run_of_two_leaders_names_both(params: Params) -> None:
    register(candidate(params))
    register(candidate(params, weights="w1"))
    [first] = lineage("1")
    assert [origin.version for origin in lineage(first.runs["train_mlpo"])] == [1, 2]


@pytest.mark.usefixtures("trained")
def test_a_pipeline_that_registered_nothing_says_what_it_ran_and_wrote(
    params: Params, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPO_FLOW_RUN_ID", FLOW)
    with stage_run("train_mlpo", params, outputs=[MLPO]) as again:
        pass
    [origin] = lineage(FLOW)
    assert lineage(again.run_id) == lineage(again.parent_id) == [origin]
    assert (origin.version, origin.runs["train_mlpo"], origin.runs["pipeline"]) == (None, again.run_id, again.parent_id)
    assert origin.flow_runs == {"train_mlpo": FLOW}
    assert origin.content["data/leaders/mlpo"] == content_md5(MLPO)
    assert len(origin.git_commit) == 40


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_leader_whose_training_was_not_tracked_has_no_training_run(params: Params) -> None:
    write_leader(MLPO, "from a cache")
    register(candidate(params))
    assert lineage("1")[0].runs["train_mlpo"] == ""


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize("unknown", ["7", "champion", "f" * 32, FLOW])
def test_what_is_unknown_is_a_users_error(unknown: str) -> None:
    with pytest.raises(ConfigError, match="there is no leader version 7" if unknown == "7" else "`mlpo leaders` lists"):
        lineage(unknown)
