"""Agents behind servers, in stages: the key is written nowhere, what was answered is kept, a dead agent is counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, Params, parse_params
from mlpo.evaluation.play import play, read_arena
from mlpo.inference.backend import DeadModelError
from mlpo.inference.scripted import ScriptedModels
from mlpo.inference.usage import GenerationLedger
from mlpo.layout import MLPO_LEADER, SFT_LEADER, proposals_of
from mlpo.stages import propose
from mlpo.stages.evaluate import dead_agents
from mlpo.store import read_jsonl
from mlpo.types import Completion, Request
from tests.inference.chat_server import Body, ChatServer

KEY = "sk-do-not-write-me-down-0815"
NUM_PROPOSALS = 12
"""3 training problems x 2 samples, 2 calibration and 4 test problems."""


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ADDERS_KEY", KEY)
    return KEY


def with_server(raw: dict[str, Any], server: ChatServer, **settings: Any) -> Params:
    """The adder behind the server."""
    limits = {"timeout_seconds": 2.0, "total_seconds": 3.0}
    raw["team"]["adder"]["server"] = {"urls": [server.url], "api_key_env": "ADDERS_KEY", **limits, **settings}
    return parse_params(raw)


def words(house: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fault", ["error_500", "error_422", "error_401"])
def test_the_key_is_sent_and_written_nowhere(
    house: Path,
    key: str,
    raw_params: dict[str, Any],
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def rude(body: Body, attempt: int) -> str:
        """It quotes the key in its errors, for the first problem always."""
        return fault if body["messages"][-1]["content"].startswith("0 ") else "answer"

    caplog.set_level(logging.DEBUG)
    said = ""
    with ChatServer(fault=rude, reply=lambda body: f"your key is {KEY}") as server:
        try:
            propose.run(with_server(raw_params, server), "adder")
        except ConfigError as error:
            said = str(error)
    assert (f"Bearer {key}" in server.headers[0], bool(said)) == (True, fault == "error_401")
    files = words(house)
    assert len(files) > 5
    assert [path for path, content in files.items() if key.encode() in content] == []
    assert key not in said + caplog.text + "".join(capfd.readouterr())


def test_a_key_that_is_not_there_is_named(house: Path, raw_params: dict[str, Any]) -> None:
    with ChatServer() as server, pytest.raises(ConfigError, match="the environment variable ADDERS_KEY is not set"):
        propose.run(with_server(raw_params, server), "adder")
    assert not server.attempts


def test_what_a_dead_server_had_answered_is_kept_and_another_url_asks_for_the_rest(
    house: Path, key: str, raw_params: dict[str, Any]
) -> None:
    def dies(body: Body, attempt: int) -> str:
        return "error_503" if body["messages"][-1]["content"].startswith("1") else "answer"

    with ChatServer(fault=dies) as server, pytest.raises(DeadModelError, match="tiny: no answer from http"):
        propose.run(with_server(raw_params, server, concurrency=1), "adder")
    answered = sum(server.answered.values())
    assert 0 < answered < NUM_PROPOSALS
    assert not proposals_of("adder").exists()
    with ChatServer() as another:
        propose.run(with_server(raw_params, another), "adder")
    assert sum(another.answered.values()) == NUM_PROPOSALS - answered
    assert {c.finish_reason for c in read_jsonl(proposals_of("adder"), Completion)} == {"stop"}


@pytest.mark.parametrize("max_dead", [0, 1])
def test_evaluation_goes_on_without_a_dead_agent_if_it_may(
    house: Path, key: str, raw_params: dict[str, Any], max_dead: int
) -> None:
    models = ScriptedModels(lambda request: "<think>so</think><answer>11</answer>")
    raw_params["evaluate"]["max_dead_agents"] = max_dead
    with ChatServer(reply=lambda body: "11") as server:
        params = with_server(raw_params, server)
        for agent in params.team:
            propose.run(params, agent, models=models)
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    asked: list[Request] = []

    def listen(request: Request) -> str:
        asked.append(request)
        return "<think>so</think><answer>11</answer>"

    arena = read_arena(params)
    if not max_dead:
        with pytest.raises(DeadModelError):
            play(params, arena, ScriptedModels(listen), ledger=GenerationLedger())
        return
    graded, dead, _ = play(params, arena, ScriptedModels(listen), ledger=GenerationLedger())
    # of each problem: single, vote, oracle and 2 routers have the adder's answer of round 0; each of 3 leaders has it
    # in round 0 and misses it in round 1
    rows = dead_agents(dead, graded)
    assert {name: (row["missing"], row["of"]) for name, row in rows.items()} == {"adder": (4 * 3, 4 * (5 + 3 * 2))}
    assert "no answer from" in rows["adder"]["reason"]
    assert any("adder: (no answer)" in request.messages[-1].content for request in asked)
