"""A stage's run in MLflow: a child of its pipeline's run, found again after a restart, and never left RUNNING."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlpo.config import Params
from mlpo.processes.stop_signals import stop_signals
from mlpo.tracking.connect import Connection, connect, exclusive, store_of
from mlpo.tracking.mlflow_log import log_inputs, log_metrics, log_params, set_tags
from mlpo.tracking.pipeline_run import (
    PARENT,
    PROCESS,
    STAGE,
    close_abandoned,
    common_tags,
    create_run,
    pipeline_run,
    settle,
    this_process,
)
from mlpo.tracking.provenance import content_md5, current_commit

if TYPE_CHECKING:
    from mlflow.entities import Run

OUTPUT = "mlpo.output."
"""Prefix of the tags that hold an output's DVC hash, by path."""
FLOW_RUN = "prefect.flow_run_id"
"""Tag of a stage's run, and of a version: the Prefect flow run that started it."""
STUDY_TAGS = {"mlpo.study": "MLPO_STUDY", "mlpo.variant": "MLPO_VARIANT"}
"""Tags of a run that is part of `mlpo study` -> the environment variables that name it."""
SHARED_SECTIONS = ("seed", "team", "leader", "rounds", "runtime")
"""Sections of params.yaml that belong to more than one stage: every stage's run shows them beside its own."""

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, slots=True)
class StageRun:
    """The open run of one stage. Whatever it is to record, a store that does not answer is a ConnectionError."""

    run_id: str
    parent_id: str
    connection: Connection

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record metrics of one step, visible at once (10 ms, whatever their number)."""
        with store_of(self.connection):
            log_metrics(self.connection, self.run_id, metrics, step)

    def log_result(self, metrics: Mapping[str, float]) -> None:
        """Record final numbers on this run and on its pipeline's, so that pipelines can be compared by them."""
        with store_of(self.connection):
            for run_id in (self.run_id, self.parent_id):
                log_metrics(self.connection, run_id, metrics, 0)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file or folder with the run, under `folder`."""
        log = self.connection.client.log_artifacts if path.is_dir() else self.connection.client.log_artifact
        with store_of(self.connection):
            log(self.run_id, str(path), folder)

    def tag(self, tags: Mapping[str, object]) -> None:
        """Set tags on this run."""
        with store_of(self.connection):
            set_tags(self.connection, self.run_id, tags)


@contextmanager
def stage_run(
    stage: str,
    params: Params | Mapping[str, Any],
    *,
    inputs: Sequence[Path] = (),
    outputs: Sequence[Path] = (),
    resume_id: str | None = None,
) -> Iterator[StageRun]:
    """Open the run of `stage`, and end it with the block: FINISHED, FAILED if it raised, KILLED if it was told to stop.

    Args:
        stage: its name in dvc.yaml, such as `train_mlpo` or `propose@geo`.
        params: all of params.yaml: together with the git commit it says which pipeline this run belongs to.
        inputs: files and folders it reads, recorded as dataset inputs by their DVC hash.
        outputs: files and folders it writes, recorded by their DVC hash when the block ends well.
        resume_id: the run to go on with, as a checkpoint remembers it; if it is gone, a new one is opened.
    Raises:
        ConnectionError: MLflow's store does not answer, also to a call that the block makes itself.
    """
    values = params.model_dump(mode="json", by_alias=True) if isinstance(params, Params) else dict(params)
    owner = os.getpid()
    connection = connect()
    run: StageRun | None = None
    failure: BaseException | None = None
    with store_of(connection), stop_signals() as signals:
        try:
            with signals.shield():
                run, new = _open(connection, stage, values, resume_id)
            _begin(run, stage, values, inputs, new=new)
            yield run
            if os.getpid() == owner and not signals.received:
                run.tag({f"{OUTPUT}{path.as_posix()}": content_md5(path) for path in outputs})
        except BaseException as error:
            failure = error
            raise
        finally:
            if run and os.getpid() == owner:  # in a forked child the run is its parent's to end
                with signals.shield():
                    _end(run, _status(failure, told_to_stop=bool(signals.received)), failure)


def _status(failure: BaseException | None, *, told_to_stop: bool) -> Status:
    if told_to_stop or isinstance(failure, KeyboardInterrupt):
        return "KILLED"
    well = failure is None or (isinstance(failure, SystemExit) and not failure.code)
    return "FINISHED" if well else "FAILED"


def _open(
    connection: Connection, stage: str, values: Mapping[str, Any], resume_id: str | None
) -> tuple[StageRun, bool]:
    """The run to go on with, or a new one, RUNNING and with this process' name; and whether it is new."""
    commit = current_commit()
    flow = {FLOW_RUN: flow_run_id()} if flow_run_id() else {}
    ours = {STAGE: stage, PROCESS: this_process()} | flow | _study_tags()
    with exclusive():
        close_abandoned(connection)
        resumed = _resumable(connection, resume_id)
        if resumed:
            run = StageRun(resumed.info.run_id, resumed.data.tags[PARENT], connection)
            run.tag(ours)  # before it runs: a neighbour takes a running one that bears a dead process for abandoned
            connection.client.update_run(run.run_id, status="RUNNING")
            return run, False
        parent_id = pipeline_run(connection, values, commit)
        run_id = create_run(connection, stage, common_tags(commit) | {PARENT: parent_id} | ours)
        return StageRun(run_id, parent_id, connection), True


def _begin(run: StageRun, stage: str, values: Mapping[str, Any], inputs: Sequence[Path], *, new: bool) -> None:
    """Let the pipeline's run be RUNNING too, and record on a new run what is asked of it and what it reads."""
    connection = run.connection
    connection.client.update_run(run.parent_id, status="RUNNING")
    if study := _study_tags():
        set_tags(connection, run.parent_id, study)
    if new:
        section = stage.partition("@")[0]
        log_params(connection, run.run_id, {k: v for k, v in values.items() if k in SHARED_SECTIONS or k == section})
        log_inputs(connection, run.run_id, inputs)


def _study_tags() -> dict[str, str]:
    return {tag: os.environ[name] for tag, name in STUDY_TAGS.items() if name in os.environ}


def _end(run: StageRun, status: Status, failure: BaseException | None) -> None:
    """Write how the run ended; a store that can't be written does not hide the stage's own failure."""
    from mlflow.exceptions import MlflowException

    try:
        if status == "FAILED":
            run.tag({"mlpo.error": f"{type(failure).__name__}: {failure}"[:500]})
        # The child's status first: of two stages that end together, the second sees both ended and ends the pipeline.
        run.connection.client.set_terminated(run.run_id, status)
        settle(run.connection, run.parent_id)
    except (MlflowException, ConnectionError):
        if failure is None:
            raise
        logging.getLogger(__name__).warning("MLflow could not record that the run is %s", status, exc_info=True)


def _resumable(connection: Connection, resume_id: str | None) -> Run | None:
    from mlflow.exceptions import MlflowException

    if resume_id is None:
        return None
    try:
        run = connection.client.get_run(resume_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" and PARENT in run.data.tags else None


def flow_run_id() -> str:
    """The Prefect flow run that started this process; empty if none did."""
    return os.environ.get("MLPO_FLOW_RUN_ID") or os.environ.get("PREFECT__FLOW_RUN_ID") or ""
