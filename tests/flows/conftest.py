"""Real parts for the flow tests: a checkout of its own to run in, Prefect's server and its worker, all on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
MakeCheckout = Callable[..., Path]


def run(*command: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 600) -> str:
    """What a command printed; its whole output in the error if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{command} exited with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def eventually(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """The first true value of a condition, awaited for a bounded time; the bound is for the slowest machine."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.1)
    return value


KEEPS_SEED_AS_CODE = "mkdir -p data/code; grep ^seed params.yaml > data/code/prepare.json"


@pytest.fixture
def make_checkout(tmp_path: Path) -> MakeCheckout:
    """Makes a git checkout of this working tree; with `cmd`, `prepare` is that shell line and reads the seed."""

    def make(name: str = "checkout", *, cmd: str | None = None) -> Path:
        folder = tmp_path / name
        listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
        for path in filter(None, listed.split("\0")):
            if (ROOT / path).is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, folder / path)
        if cmd:
            code = {"cmd": KEEPS_SEED_AS_CODE, "always_changed": True, "outs": [{"data/code": {"cache": False}}]}
            stage = {"cmd": cmd, "deps": ["data/code/prepare.json"], "outs": ["data/problems"]}
            (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"code": code, "prepare": stage}}))
            (folder / "dvc.lock").unlink(missing_ok=True)
        run("git", "init", "--quiet", cwd=folder)
        run("git", "add", "--all", cwd=folder)
        author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        run("git", *author, "commit", "--quiet", "--message", "start", cwd=folder)
        return folder

    return make


@contextmanager
def running(*command: str, cwd: Path, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, ended with it."""
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, cwd=cwd, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Prefect:
    """A Prefect server and how to talk to it."""

    url: str
    env: dict[str, str]
    folder: Path

    def post(self, path: str, **body: Any) -> Any:
        return self._answer("POST", path, json=body)

    def get(self, path: str) -> Any:
        return self._answer("GET", path)

    def delete(self, path: str) -> None:
        self._answer("DELETE", path)

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        """What the server says; it is asked again while its SQLite database is locked (503)."""

        def ask() -> httpx.Response | None:
            response = httpx.request(method, self.url + path, timeout=120, **more)
            return None if response.status_code == httpx.codes.SERVICE_UNAVAILABLE else response

        answer: httpx.Response = eventually(ask, 600).raise_for_status()
        return answer.json() if answer.content else None

    def deploy(self, checkout: Path, name: str) -> None:
        run(sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--name", name, cwd=checkout, env=self.env)

    def start(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run of a deployment of the pipeline flow; its id."""
        found = self.get(f"/deployments/name/pipeline/{deployment}")
        asked = self.post(f"/deployments/{found['id']}/create_flow_run", parameters=parameters)
        return str(asked["id"])

    def state(self, flow_run_id: str) -> tuple[str, str]:
        state = self.get(f"/flow_runs/{flow_run_id}")["state"]
        return state["type"], state["message"] or ""

    def end(self, flow_run_id: str, seconds: float = 600) -> tuple[str, str]:
        """The final state of a run and its message."""
        return eventually(lambda: (now := self.state(flow_run_id))[0] in FINAL and now, seconds)

    def task_runs(self, flow_run_id: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.post("/task_runs/filter", flow_runs={"id": {"any_": [flow_run_id]}})
        return runs

    def log(self, flow_run_id: str) -> list[str]:
        wanted = {"flow_run_id": {"any_": [flow_run_id]}}
        return [line["message"] for line in self.post("/logs/filter", logs=wanted, sort="TIMESTAMP_ASC")]


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Prefect's temporary server keeps its database, which takes a while to make."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A Prefect server with a process work pool `local` and a worker for it."""
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    env = os.environ | {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": url,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_CLI_COLORS": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    program = (sys.executable, "-m", "prefect")
    server = (*program, "server", "start", "--host", "127.0.0.1", "--port", str(port))
    worker = (*program, "worker", "start", "--pool", "local", "--type", "process")
    with running(*server, cwd=folder, env=env, log=folder / "server.log"):
        eventually(lambda: _is_up(url), 600)
        run(*program, "--no-prompt", "work-pool", "create", "local", "--type", "process", cwd=folder, env=env)
        with running(*worker, cwd=folder, env=env, log=folder / "worker.log"):
            yield Prefect(url, env, folder)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url + "/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
