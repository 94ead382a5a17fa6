"""A checkout with a real MLflow store on SQLite; its migrations, 3 to 7 s, run once per session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlpo.config import Params, parse_params
from mlpo.tracking.connect import Connection, connect
from mlpo.tracking.runs import stage_run
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
