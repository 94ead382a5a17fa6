"""`vllm serve` for as long as a stage asks it: started, waited for, stopped, and its memory seen free again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from mlpo.config import ConfigError, ServerConfig
from mlpo.inference.backend import DeadModelError, OnAnswer, TransientError
from mlpo.inference.openai_client import ServerBackend
from mlpo.layout import WORK
from mlpo.processes.process_group import kept
from mlpo.types import Completion, Request

PROGRAM = "MLPO_VLLM"
"""NAME of the environment variable with the path of `vllm`, where it is installed in an environment of its own."""
POLL_SECONDS = 0.5
STOP_SECONDS = 30.0
"""From the keeper's end of input to SIGKILL; a little more than the keeper's own grace."""
FREE_SECONDS = 60.0
"""Longest wait for a stopped server's GPU memory."""
FREE_MARGIN_MIB = 512
"""How much more GPU memory than before the start may be in use after the stop."""
LAST_LINES = 3
"""Lines of the log in an error message."""


class VllmBackend:
    """A model that a `vllm serve` of ours answers for. `close` stops it; if this process dies, it ends too."""

    def __init__(self, model: str, source: str, revision: str | None, config: ServerConfig) -> None:
        """Start the server and wait until it is ready.

        Args:
            source: what vLLM loads: a folder or a hub id.
        Raises:
            ConfigError: vLLM is not installed, or it ended before it was ready; the message has its last words.
            DeadModelError: it was not ready in `start_seconds`.
        """
        self.log = WORK / "vllm" / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', model).strip('_')}.log"
        self._model = model
        self._memory_before = used_gpu_memory()
        port = _free_port()
        self._process = _start(vllm_command(model, source, revision, port, config.vllm_args), self.log)
        self._address = f"http://127.0.0.1:{port}"
        try:
            self._wait_until_ready(config.start_seconds)
            urls = [f"{self._address}/v1"]
            self._server = ServerBackend(model, urls, config, check_alive=self._check_alive, proxied=False)
        except BaseException:
            self.close()
            raise

    def check(self, requests: Iterable[Request]) -> None:
        """vLLM judges by itself what it can answer."""

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """As `ServerBackend.generate`."""
        return self._server.generate(requests, on_answer)

    def close(self) -> None:
        """Stop the server and wait until its processes and its memory are gone.

        Raises:
            TransientError: its GPU memory is still in use.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()  # the keeper ends the group
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # the usual case: nobody of the group is left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._wait_until_free()

    def _wait_until_ready(self, limit: float) -> None:
        end = time.monotonic() + limit
        with httpx.Client(base_url=self._address, timeout=5, trust_env=False) as client:
            while time.monotonic() < end:
                if (code := self._process.poll()) is not None:
                    raise ConfigError(
                        f"vllm serve {self._model} ended with code {code} before it was ready: {self._last_words()} "
                        f"(all of it: {self.log})"
                    )
                try:
                    if client.get("/health").status_code == 200:
                        return
                except httpx.TransportError:
                    pass  # not listening yet
                time.sleep(POLL_SECONDS)
        raise DeadModelError(f"vllm serve {self._model} was not ready in {limit:g} s; see {self.log}")

    def _check_alive(self) -> None:
        if (code := self._process.poll()) is not None:
            raise DeadModelError(
                f"vllm serve {self._model} ended with code {code}: {self._last_words()} (all of it: {self.log})"
            )

    def _last_words(self) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as file:
            return " / ".join(deque((line.strip() for line in file if line.strip()), LAST_LINES))

    def _wait_until_free(self) -> None:
        end = time.monotonic() + FREE_SECONDS
        while (now := used_gpu_memory()) > self._memory_before + FREE_MARGIN_MIB:
            if time.monotonic() > end:
                raise TransientError(
                    f"{now} MiB of GPU memory are in use {FREE_SECONDS:g} s after the end of vllm serve "
                    f"{self._model}, {self._memory_before} MiB were before it; another program may have taken them"
                )
            time.sleep(POLL_SECONDS)


def vllm_command(model: str, source: str, revision: str | None, port: int, more: Sequence[str]) -> list[str]:
    """The command line of `vllm serve`.

    `--generation-config vllm`: a model's own generation_config.json would change the sampling behind our back.

    Raises:
        ConfigError: neither the variable MLPO_VLLM names a program nor is `vllm` on the PATH.
    """
    asked = os.environ.get(PROGRAM, "vllm")
    program = shutil.which(asked, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise ConfigError(
            f"serve: vllm needs the command {asked}; install the extra `gpu`, let {PROGRAM} name the `vllm` of another "
            "environment, or name urls of a server"
        )
    command = [program, "serve", source, "--served-model-name", model, "--host", "127.0.0.1", "--port", str(port)]
    return [*command, "--generation-config", "vllm", *(["--revision", revision] if revision else []), *more]


def used_gpu_memory() -> int:
    """MiB in use on the GPUs this process may see; 0 where there is no nvidia-smi."""
    if (program := shutil.which("nvidia-smi")) is None:
        return 0
    query = [program, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        query.append(f"--id={visible}")
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    return sum(map(int, re.findall(r"^\d+$", answer.stdout, re.MULTILINE)))


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Run the command under a keeper, in a process group of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    with log.open("wb") as file:
        return subprocess.Popen(
            kept([*command]),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
