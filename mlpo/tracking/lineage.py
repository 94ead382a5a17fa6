"""What belongs together: a leader's version, its MLflow runs, Prefect flow runs, commit and content, in one record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from mlpo.config import ConfigError
from mlpo.tracking.connect import Connection, connect
from mlpo.tracking.pipeline_run import COMMIT, DIRTY, PARENT, STAGE
from mlpo.tracking.registry import get_version, version_number, versions
from mlpo.tracking.stage_run import FLOW_RUN, OUTPUT

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True, slots=True)
class Lineage:
    """One leader's origin, or that of a pipeline which registered none."""

    version: int | None
    git_commit: str
    git_dirty: bool
    runs: dict[str, str]
    """Stage (and `pipeline`) -> MLflow run id; empty where the output came from DVC's cache."""
    flow_runs: dict[str, str]
    """Stage -> Prefect flow run id, of the stages that a flow ran."""
    content: dict[str, str]
    """Path -> DVC hash: of a version what it was made from, else what the pipeline's stages wrote."""


def lineage(reference: str) -> list[Lineage]:
    """The origin of one leader, or of every leader that came out of a run.

    Args:
        reference: a version's number, the id of an MLflow run (a stage's or a pipeline's), or of a Prefect flow run.
    Raises:
        ConfigError: nothing is known by that name.
    """
    connection = connect()
    if reference.isdecimal():
        return [_of_version(connection, get_version(connection, version_number(reference)))]
    runs = _runs(connection, reference)
    if not runs:
        raise ConfigError(
            f"{reference!r} is no leader version, and no MLflow run or Prefect flow run that left a record; "
            "`mlpo leaders` lists the versions"
        )
    pipelines = sorted({run.data.tags.get(PARENT, run.info.run_id) for run in runs})
    wanted = {run.info.run_id for run in runs}.union(pipelines)
    found = [v for v in versions(connection) if wanted & set(_with_prefix(v.tags, "run.").values())]
    if found:
        return [_of_version(connection, version) for version in sorted(found, key=lambda v: int(v.version))]
    return [_of_pipeline(connection, pipeline) for pipeline in pipelines]


def _runs(connection: Connection, reference: str) -> list[Run]:
    """The MLflow run of that id, or the runs of that Prefect flow run."""
    from mlflow.exceptions import MlflowException

    if re.fullmatch(r"[0-9a-f]{32}", reference):
        try:
            return [connection.client.get_run(reference)]
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    try:
        flow_run = UUID(reference)
    except ValueError:
        return []
    return list(connection.client.search_runs([connection.experiment_id], f"tags.`{FLOW_RUN}` = '{flow_run}'"))


def _of_version(connection: Connection, version: ModelVersion) -> Lineage:
    runs = _with_prefix(version.tags, "run.")
    known = {stage: connection.client.get_run(run_id) for stage, run_id in runs.items() if run_id}
    return Lineage(
        int(version.version),
        version.tags.get("git.commit", ""),
        version.tags.get("git.dirty") == "true",
        runs,
        _flow_runs(known),
        _with_prefix(version.tags, "dvc."),
    )


def _of_pipeline(connection: Connection, pipeline: str) -> Lineage:
    whole = connection.client.get_run(pipeline)
    stages = connection.client.search_runs(
        [connection.experiment_id], f"tags.`{PARENT}` = '{pipeline}'", order_by=["attributes.start_time ASC"]
    )
    runs = {run.data.tags[STAGE]: run for run in stages}  # of a stage that ran twice, the last
    return Lineage(
        None,
        whole.data.tags.get(COMMIT, ""),
        whole.data.tags.get(DIRTY) == "true",
        {stage: run.info.run_id for stage, run in runs.items()} | {"pipeline": pipeline},
        _flow_runs(runs),
        _merged(_with_prefix(run.data.tags, OUTPUT) for run in runs.values()),
    )


def _flow_runs(runs: Mapping[str, Run]) -> dict[str, str]:
    return {stage: run.data.tags[FLOW_RUN] for stage, run in runs.items() if FLOW_RUN in run.data.tags}


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for part in parts for name, value in part.items()}


def _with_prefix(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in sorted(tags.items()) if name.startswith(prefix)}
