"""`serve: vllm`: a server of ours is ready before it is asked, is gone afterwards, however that comes about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mlpo.config import ConfigError, ServerConfig
from mlpo.inference.backend import DeadModelError
from mlpo.inference.remote_models import RemoteModels
from mlpo.inference.vllm_server import VllmBackend, vllm_command
from mlpo.types import Message, Request, Sampling

SCRIPTED = Path(__file__).with_name("chat_server.py")
CONFIG = ServerConfig(serve="vllm", start_seconds=60, timeout_seconds=5, total_seconds=30)
REQUEST = Request("p", "geo", (Message("user", "hi"),), Sampling(), seed=3)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which `vllm serve ARGUMENTS` is the scripted server, and whose `vllm` leaves a child behind."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    program(folder / "vllm", f"echo starting; sleep 1000 &\nexec {sys.executable} {SCRIPTED} $@")
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def group(leader: int) -> list[int]:
    """Who lives in a process group."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_it_answers_and_leaves_nothing_behind(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there, nor could they reach our loopback
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    backend = VllmBackend("tiny", "some/folder", None, CONFIG)
    try:
        assert backend.generate([REQUEST])[0].text == "hi seed 3"
        leader = backend._process.pid
        assert os.getpgid(leader) == leader != os.getpgid(0)
        assert len(group(leader)) == 3  # keeper, server, and what it left behind
    finally:
        backend.close()
    assert group(leader) == []
    assert backend.log.read_text().startswith("starting")


PARENT = """
import sys, time
from mlpo.inference.vllm_server import VllmBackend
from tests.inference.test_vllm_server import CONFIG
print(VllmBackend("tiny", "some/folder", None, CONFIG)._process.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.slow
def test_it_ends_when_its_parent_is_killed(bin_folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        leader = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 20
    while group(leader) and time.monotonic() < end:
        time.sleep(0.2)
    assert group(leader) == []


def test_one_that_does_not_start_says_why(bin_folder: Path) -> None:
    program(bin_folder / "vllm", "echo no such model; exit 3")
    with pytest.raises(ConfigError, match=r"vllm serve tiny ended with code 3 before it was ready: no such model"):
        VllmBackend("tiny", "some/folder", None, CONFIG)
    program(bin_folder / "vllm", "sleep 1000")
    with pytest.raises(DeadModelError, match=r"vllm serve tiny was not ready in 1 s; see .mlpo/vllm/tiny.log"):
        VllmBackend("tiny", "some/folder", None, CONFIG.model_copy(update={"start_seconds": 1.0}))


def test_a_variable_names_the_program_where_it_is_not_on_the_path(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = (bin_folder / "vllm").rename(bin_folder / "elsewhere")
    monkeypatch.setenv("MLPO_VLLM", str(elsewhere))
    assert vllm_command("tiny", "some/folder", None, 80, ())[:3] == [str(elsewhere), "serve", "some/folder"]
    monkeypatch.setenv("MLPO_VLLM", "/no/such/vllm")
    with pytest.raises(ConfigError, match="command /no/such/vllm; install the extra `gpu`, let MLPO_VLLM name"):
        vllm_command("tiny", "some/folder", None, 80, ())


def test_one_that_dies_is_not_waited_for(bin_folder: Path) -> None:
    backend = VllmBackend("tiny", "some/folder", None, CONFIG)
    try:
        (server,) = [
            p.pid for p in psutil.Process(backend._process.pid).children() if "chat_server" in str(p.cmdline())
        ]
        os.kill(server, signal.SIGKILL)
        started = time.monotonic()
        with pytest.raises(DeadModelError, match="vllm serve tiny ended with code 137: "):
            backend.generate([REQUEST])
        assert time.monotonic() - started < 10
    finally:
        backend.close()


def test_its_memory_is_seen_free_before_the_next(bin_folder: Path) -> None:
    # nvidia-smi: 100 MiB before the start, 70,000 while it runs and twice after the stop, then 100 again
    program(bin_folder / "nvidia-smi", "read N REST < smi; echo $REST > smi; echo $N")
    Path("smi").write_text("100 70000 70000 100 0\n")
    VllmBackend("tiny", "some/folder", None, CONFIG).close()
    assert Path("smi").read_text() == "0\n"


def test_the_weights_are_the_identity_and_no_address_is() -> None:
    one, other = (
        RemoteModels(ServerConfig(urls=(url,), concurrency=n)) for url, n in (("http://a/v1", 1), ("http://b/v1", 2))
    )
    assert one.identity("m", None) == other.identity("m", None) != one.identity("n", None)
    greedy = RemoteModels(ServerConfig(urls=("http://a/v1",), extra_body={"top_k": 1}))
    assert greedy.identity("m", None) != one.identity("m", None)
    assert RemoteModels(CONFIG).identity("embedded", None).startswith("vllm:embedded@")
