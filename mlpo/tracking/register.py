"""Registering a leader: its folder becomes a version, once, with what it came from; then the gate decides."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpo import layout
from mlpo.tracking.candidate import Candidate
from mlpo.tracking.connect import Connection, as_global_store, exclusive
from mlpo.tracking.decisions import NAME, Decision, decision_in
from mlpo.tracking.description import write_description
from mlpo.tracking.mlflow_model import write_model
from mlpo.tracking.pipeline_run import STAGE
from mlpo.tracking.promotion import promote
from mlpo.tracking.provenance import content_md5, current_commit
from mlpo.tracking.registry import CHALLENGER, model_id_of, versions
from mlpo.tracking.stage_run import FLOW_RUN, OUTPUT, StageRun
from mlpo.tracking.traces import link_to_model

TRAINED_BY = {"train_sft": layout.SFT_LEADER, "train_mlpo": layout.MLPO_LEADER}
"""The stages whose runs made a leader, and what each writes."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered version, and what was decided about it."""

    version: int
    new: bool
    """False if this very leader had been registered before."""
    decision: Decision


def register_leader(run: StageRun, candidate: Candidate, *, inputs: Sequence[Path], code: Path) -> Registration:
    """Make the candidate a version of `leader` with the alias challenger, and champion if it clears the gate.

    The weights are copied as files, never loaded. The same leader, evaluated the same way, finds its version again.

    Args:
        run: the open run of the stage that registers.
        inputs: what the leader was made from (problems, proposals), recorded by DVC hash.
        code: what MLflow runs to answer with the leader's team; see `mlpo.tracking.mlflow_model.serve_team`.
    """
    identity = candidate.tags()["leader"]
    with exclusive():
        known = versions(run.connection, leader=identity)
        version = int(known[0].version) if known else _create_version(run, candidate, inputs, code)
    _link_evaluation(run.connection, version)
    decided = decision_in(known[0].tags) if known else None
    if decided:
        return Registration(version, new=False, decision=decided)
    params = candidate.params
    decision = promote(version, gate=params.register_, evaluate=params.evaluate, seed=params.seed)
    return Registration(version, new=not known, decision=decision)


def _create_version(run: StageRun, candidate: Candidate, inputs: Sequence[Path], code: Path) -> int:
    from mlflow.exceptions import MlflowException

    client = run.connection.client
    tags = candidate.tags() | _origin(run, inputs)
    model = client.create_logged_model(
        run.connection.experiment_id, name=NAME, source_run_id=run.run_id, tags=tags, model_type=NAME
    )
    try:
        client.log_model_artifacts(model.model_id, str(candidate.folder))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            write_model(folder, model, candidate, code)
            write_description(candidate, folder)
            client.log_model_artifacts(model.model_id, str(folder))
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise
    client.finalize_logged_model(model.model_id, "READY")
    try:
        client.create_registered_model(NAME, description="LLMs trained to lead a team of untrained LLMs.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with as_global_store(run.connection):
        created = client.create_model_version(
            NAME,
            f"models:/{model.model_id}",
            run_id=run.run_id,
            tags=tags,
            description=_description(candidate),
            model_id=model.model_id,  # else MLflow's server refuses the source
        )
    client.set_registered_model_alias(NAME, CHALLENGER, str(created.version))
    return int(created.version)


def _link_evaluation(connection: Connection, version: int) -> None:
    """Let the traces of the evaluation, made before there was a version, belong to it."""
    model_id, evaluated = model_id_of(connection, version), run_that_wrote(connection, "evaluate", layout.TRANSCRIPTS)
    if model_id and evaluated:
        link_to_model(connection, evaluated, model_id)


def _origin(run: StageRun, inputs: Sequence[Path]) -> dict[str, str]:
    """The version's tags that say where it came from: runs, commit, flow, content of its inputs."""
    commit = current_commit()
    runs = {f"run.{stage}": run_that_wrote(run.connection, stage, path) for stage, path in TRAINED_BY.items()}
    own = run.connection.client.get_run(run.run_id).data.tags
    return {
        **runs,
        "run.register": run.run_id,
        "run.pipeline": run.parent_id,
        FLOW_RUN: own.get(FLOW_RUN, ""),
        "git.commit": commit.sha,
        "git.dirty": str(commit.dirty).lower(),
        **{f"dvc.{path.as_posix()}": content_md5(path) for path in inputs},
    }


def run_that_wrote(connection: Connection, stage: str, path: Path) -> str:
    """The latest run of `stage` that left what now lies at `path`; "" if none is known (it came from DVC's cache)."""
    if not path.exists():
        return ""
    condition = f"tags.`{STAGE}` = '{stage}' and tags.`{OUTPUT}{path.as_posix()}` = '{content_md5(path)}'"
    found = connection.client.search_runs([connection.experiment_id], condition, max_results=1)
    return str(found[0].info.run_id) if found else ""


def _description(candidate: Candidate) -> str:
    leader = candidate.metrics["strategies"]["leader"]
    low, high = leader["interval"]
    team = ", ".join(candidate.params.team)
    return f"{leader['accuracy']:.3f} [{low:.3f}, {high:.3f}] on {leader['n']} problems, leading {team}"
