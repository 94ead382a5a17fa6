"""A checkout with a real MLflow store on SQLite; its migrations, 3 to 7 s, run once per session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mlpo.config import Params, parse_params
from mlpo.tracking.connect import Connection, connect
from mlpo.tracking.stage_run import stage_run
from tests.flows.conftest import eventually, running
from tests.tracking.candidates import MLPO, PROBLEMS, SFT, write_leader


@pytest.fixture
def checkout(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit, the current folder of the test, with an empty MLflow database."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "params.yaml").write_text("seed: 0\n", encoding="utf-8")
    (root / ".gitignore").write_text("/mlflow.db\n/mlruns/\n/.mlpo/\n", encoding="utf-8")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "start")
    shutil.copy(empty_database, root / "mlflow.db")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def connection(checkout: Path) -> Connection:
    """The way to that checkout's records."""
    return connect()


@pytest.fixture
def stop_server(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """MLflow's server holds the checkout's records, and alone reaches its artifacts; calling this ends it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    words = ["--host=127.0.0.1", f"--port={url.rpartition(':')[2]}", "--workers=1", "--serve-artifacts"]
    words += [f"--backend-store-uri=sqlite:///{checkout}/mlflow.db", f"--artifacts-destination={tmp_path}/artifacts"]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    log = tmp_path / "mlflow.log"
    with running(sys.executable, "-m", "mlflow", "server", *words, cwd=checkout, env=env, log=log) as server:
        eventually(answers, 120)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

        def stop() -> None:
            server.terminate()
            server.wait(20)

        yield stop


@pytest.fixture
def params() -> Params:
    raw = {
        "team": {"geo": {}, "number": {}},
        "prepare": {"families": ["capital"]},
        "evaluate": {"bootstrap_samples": 200},
    }
    return parse_params(raw)


@pytest.fixture
def trained(connection: Connection, params: Params) -> None:
    """What the stages before leave: problems, and two leaders written by tracked runs."""
    PROBLEMS.mkdir(parents=True)
    (PROBLEMS / "test.jsonl").write_text("{}\n", encoding="utf-8")
    for stage, folder in (("train_sft", SFT), ("train_mlpo", MLPO)):
        with stage_run(stage, params, outputs=[folder]):
            write_leader(folder, stage)


def git(root: Path, *arguments: str) -> str:
    """What git says in that checkout."""
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
