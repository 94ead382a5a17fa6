"""The parent run of a pipeline: found by its parameters and commit, ended when none of its stages runs any more."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import psutil

from mlpo.config import digest
from mlpo.tracking.connect import Connection
from mlpo.tracking.mlflow_log import log_params
from mlpo.tracking.provenance import Commit

PIPELINE = "mlpo.pipeline"
"""Tag of a parent run: digest of all parameters and the commit. Equal tag, same run, through whichever door."""
STAGE = "mlpo.stage"
PROCESS = "mlpo.process"
"""Tag of a running stage: host, pid and start time of its process; so a run whose process was killed is found."""
PARENT = "mlflow.parentRunId"
COMMIT = "mlflow.source.git.commit"
DIRTY = "mlpo.git.dirty"
"""Tag of every run: whether tracked files differed from the commit."""


def pipeline_run(connection: Connection, values: Mapping[str, Any], commit: Commit) -> str:
    """The run that an outer process named (MLFLOW_RUN_ID), else that of these parameters and commit, else a new one."""
    outer = os.environ.get("MLFLOW_RUN_ID")
    if outer:
        return outer
    key = digest({"params": values, "commit": commit.sha})
    found = connection.client.search_runs(
        [connection.experiment_id],
        f"tags.`{PIPELINE}` = '{key}'",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    if found:
        return str(found[0].info.run_id)
    name = f"pipeline seed {values.get('seed', 0)} {key[:8]}"
    run_id = create_run(connection, name, common_tags(commit) | {PIPELINE: key, "mlpo.params": digest(dict(values))})
    log_params(connection, run_id, values)
    return run_id


def settle(connection: Connection, parent_id: str) -> None:
    """End a pipeline's run if none of its stages runs: with the worst of each stage's last status.

    A run that somebody else opened (MLFLOW_RUN_ID) is theirs to end.
    """
    if PIPELINE not in connection.client.get_run(parent_id).data.tags:
        return
    children = connection.client.search_runs(
        [connection.experiment_id], f"tags.`{PARENT}` = '{parent_id}'", order_by=["attributes.start_time ASC"]
    )
    statuses = {child.data.tags.get(STAGE, ""): child.info.status for child in children}
    if any(child.info.status == "RUNNING" for child in children):
        return
    worst = next((status for status in ("FAILED", "KILLED") if status in statuses.values()), "FINISHED")
    connection.client.set_terminated(parent_id, worst)


def close_abandoned(connection: Connection) -> list[str]:
    """Mark as KILLED the runs whose process on this host is gone (kill -9, power cut); their ids."""
    running = connection.client.search_runs([connection.experiment_id], "attributes.status = 'RUNNING'")
    abandoned = [run for run in running if PROCESS in run.data.tags and not _alive(run.data.tags[PROCESS])]
    for run in abandoned:
        connection.client.set_terminated(run.info.run_id, "KILLED")
    for parent_id in {run.data.tags[PARENT] for run in abandoned if PARENT in run.data.tags}:
        settle(connection, parent_id)
    return [run.info.run_id for run in abandoned]


def create_run(connection: Connection, name: str, tags: Mapping[str, str]) -> str:
    return str(connection.client.create_run(connection.experiment_id, tags=dict(tags), run_name=name).info.run_id)


def common_tags(commit: Commit) -> dict[str, str]:
    return {
        "mlflow.source.name": "mlpo",
        COMMIT: commit.sha,
        DIRTY: str(commit.dirty).lower(),
    }


def this_process() -> str:
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def _alive(process: str) -> bool:
    """False only if it certainly is not: another host's processes can't be seen from here."""
    host, pid, started = process.rsplit(" ", 2)
    if host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) <= 1
    except psutil.NoSuchProcess:
        return False
