"""Where the records lie: one MLflow store for a checkout and all its worktrees, or MLFLOW_TRACKING_URI."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from mlpo import layout

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "mlpo"
TRANSIENT = {HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}
"""HTTP statuses of what may pass. MLflow gives one to every error, also of SQLite; a dead server's is 500."""
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # else a new database prints its migrations
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # the default, 7 with doubling pauses, waits four minutes for a dead server
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """An open way to the records."""

    client: MlflowClient
    experiment_id: str
    uri: str


def main_checkout(folder: Path | None = None) -> Path:
    """The main checkout that `folder` (default: the current one) belongs to: a worktree's origin, never the worktree.

    Outside git, or where git is missing, the folder itself. A temporary copy made by `dvc exp run --temp` belongs to
    the checkout that holds it.
    """
    here = (folder or Path.cwd()).resolve()
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return here
    common, top = (Path(line) for line in answer.stdout.splitlines())
    root = common.parent if common.name == ".git" else top  # a submodule's .git lies elsewhere
    experiments = Path(".dvc/tmp/exps")
    return next((p for p in root.parents if root.is_relative_to(p / experiments)), root)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI if it is set, else the SQLite file `mlflow.db` in the main checkout."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_checkout() / 'mlflow.db'}"


@contextmanager
def exclusive() -> Iterator[None]:
    """One process of this checkout at a time: two stages must not both find no parent run and create one."""
    path = main_checkout() / layout.WORK / "tracking.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def connect() -> Connection:
    """Open the store, and create its database and experiment the first time.

    Costs 2 s in a fresh process, nearly all of it MLflow's import.

    Raises:
        ConnectionError: the store does not answer.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = tracking_uri()
    try:
        with exclusive():
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            return Connection(client, _experiment(client, uri), uri)
    except MlflowException as error:
        raise ConnectionError(
            f"MLflow's store {uri} does not answer ({_one_line(error)}); "
            "start its server, or mend or unset MLFLOW_TRACKING_URI"
        ) from error


@contextmanager
def as_global_store(connection: Connection) -> Iterator[None]:
    """Inside the block MLflow's global store is this one: traces, and a version's look-up of its model, know no other.

    MLflow also writes the global store into the environment; afterwards both are as before.
    """
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(connection.uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # None means unset, which its annotation forgets
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


@contextmanager
def store_of(connection: Connection) -> Iterator[None]:
    """Inside the block, a store that does not answer is a ConnectionError; what it refuses, it will refuse again."""
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        raise ConnectionError(f"MLflow's store {connection.uri} does not answer ({_one_line(error)})") from error


def is_outage(error: Exception) -> bool:
    """Whether this is MLflow saying that its store does not answer. Costs nothing where MLflow was not imported."""
    if "mlflow.exceptions" not in sys.modules:
        return False
    from mlflow.exceptions import MlflowException

    # MLflow forgot to say that a status is an int
    return isinstance(error, MlflowException) and error.get_http_status_code() in TRANSIENT  # type: ignore[no-untyped-call]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _experiment(client: MlflowClient, uri: str) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        return client.create_experiment(EXPERIMENT, artifact_location=_artifact_location(uri))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """`mlruns/` beside a SQLite file (else MLflow would take the current folder); a server decides for itself."""
    if not uri.startswith("sqlite:///"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlruns" / EXPERIMENT).as_uri()
