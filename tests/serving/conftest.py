"""A registered champion of scripted models, behind a real HTTP server on the loopback."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from openai import OpenAI

from mlpo.config import Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import MLPO_LEADER
from mlpo.method.prompts import AgentPrompt, leader_text
from mlpo.serving.champion import ModelsFor
from mlpo.serving.server import listen, service
from mlpo.tracking.connect import connect
from mlpo.tracking.register import register_leader
from mlpo.tracking.stage_run import stage_run
from mlpo.types import LEADER, Request
from tests.tracking.candidates import LEADER_MODEL, candidate, write_leader

Serve = Callable[..., AbstractContextManager[str]]


def reply(request: Request) -> str:
    """Agents add 1, the leader thinks of what they say and adds 1 too."""
    number = re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1]
    answer = str(int(number) + 1)
    return leader_text(f"adder says {answer} and so do I", answer) if request.model == LEADER else answer


def scripted(on_text: Any) -> ScriptedModels:
    return ScriptedModels(reply, on_text=on_text)


@pytest.fixture(scope="session")
def params() -> Params:
    """Two agents, and a server that looks often."""
    agent = {"model": "tiny", "sampling": {"max_tokens": 8}}
    raw = {
        "team": {"adder": dict(agent), "guesser": dict(agent)},
        "prepare": {"families": ["sum"]},
        "evaluate": {"bootstrap_samples": 200},
        "serve": {"port": 0, "poll_seconds": 0.05, "max_seconds": 300, "trace_share": 0},
    }
    return parse_params(raw)


@pytest.fixture(scope="session")
def with_champion(params: Params, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which version 1 is champion; registering it takes a second."""
    folder = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, empty_database, patch)
        register_version(params)
    return folder / "mlflow.db"


def enter(folder: Path, database: Path, patch: pytest.MonkeyPatch) -> None:
    """Make `folder` the current one, with a copy of the database."""
    patch.chdir(folder)
    shutil.copy(database, folder / "mlflow.db")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")


def register_version(params: Params, weights: str = "w0") -> int:
    """Register a leader; the first becomes champion."""
    write_leader(MLPO_LEADER, weights)
    team = [AgentPrompt(name, "Be brief.") for name in params.team]
    with stage_run("register", params) as run:
        leader = replace(candidate(params, weights=weights), team=team)
        return register_leader(run, leader, inputs=[], code=LEADER_MODEL).version


def make_champion(version: int) -> None:
    """Move the alias."""
    connect().client.set_registered_model_alias("leader", "champion", str(version))


@contextmanager
def serving(params: Params, models_for: ModelsFor = scripted) -> Iterator[str]:
    """Serve the champion of the current database; the URL."""
    with listen(params.serve) as listener, service(params, models_for) as app:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def serve(
    params: Params, with_champion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractContextManager[str]]:
    """serve(params, models_for) serves version 1 from a database of its own."""
    enter(tmp_path, with_champion, monkeypatch)
    return lambda params=params, models_for=scripted: serving(params, models_for)


@pytest.fixture(scope="module")
def url(params: Params, with_champion: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server of version 1 for all who change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        enter(tmp_path_factory.mktemp("served"), with_champion, patch)
        with serving(params) as address:
            yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300) as opened:
        yield opened
