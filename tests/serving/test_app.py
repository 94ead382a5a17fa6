"""The HTTP side over a scheduler in this process: who is let in, limits, time, what an idle stream says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mlpo.config import ConfigError, Params, ServeConfig
from mlpo.inference.scripted import ScriptedModels
from mlpo.serving import app
from mlpo.serving.events import Event, Words
from mlpo.serving.request import read_question
from mlpo.serving.request_state import RequestState
from mlpo.serving.response import Reply
from mlpo.serving.server import listen, service
from mlpo.tracking.serving_traces import ServedTrace, ServedTraces
from mlpo.types import LEADER, Problem, Transcript
from tests.serving.conftest import reply, scripted
from tests.serving.seated import Held, champion, seated, until

Open = Callable[..., AbstractContextManager[TestClient]]


class Ends(ServedTraces):
    """Traces that only remember how they ended."""

    def __init__(self) -> None:
        self.num_dropped = 0
        self.ends: list[str] = []

    def begin(self, problem: Problem, model: str, **about: Any) -> ServedTrace:
        return _End(self, problem, None)


class _End(ServedTrace):
    def answered(self, transcript: Transcript, times_ns: list[int]) -> None:
        self._told(f"answered {transcript.answer}")

    def failed(self, reason: str) -> None:
        self._told(reason)

    def _told(self, end: str) -> None:
        assert isinstance(self._traces, Ends)
        self._traces.ends.append(end)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def opened(params: Params, ends: Ends) -> Open:
    """opened(team=..., key=..., **serve) is a client of the application."""

    @asynccontextmanager
    async def nothing(_: FastAPI) -> AsyncIterator[None]:
        yield

    @contextmanager
    def client(team: Any = reply, key: str | None = None, **serve: Any) -> Iterator[TestClient]:
        config = ServeConfig(**serve)
        with seated(config, champion(params, ScriptedModels(reply)), ScriptedModels(team)) as scheduler:
            made = app.make_app("leader", config, scheduler, ends, key=key, lifespan=nothing)
            with TestClient(made, headers={"content-type": "application/json; charset=utf-8"}) as test_client:
                test_client.app_state["scheduler"] = scheduler
                yield test_client

    return client


def ask(client: TestClient, question: str = "17 + 1?", **fields: Any) -> Any:
    body = {"model": LEADER, "messages": [{"role": "user", "content": question}]} | fields
    return client.post("/v1/chat/completions", content=json.dumps(body))


def test_a_key_is_asked_for_where_one_is_named_and_not_for_health(opened: Open) -> None:
    with opened(key="secret") as client:
        for headers in ({}, {"authorization": "Bearer guess"}):
            refused = client.get("/v1/models", headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert client.get("/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200
        assert client.get("/health").status_code == 200


def test_a_key_that_is_not_set_is_named_and_a_server_open_to_others_without_one_is_told(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyed = params.model_copy(update={"serve": ServeConfig(api_key_env="LEADER_KEY")})
    with pytest.raises(ConfigError, match="the environment variable LEADER_KEY is not set"), service(keyed, scripted):
        pass
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "no-store://")
    for host, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        here = params.model_copy(update={"serve": ServeConfig(host=host)})
        with pytest.raises(Exception, match="no-store"), service(here, scripted):
            pass
        assert ("asks for no key; name one in serve.api_key_env" in capsys.readouterr().err) == warned


def test_a_port_that_is_taken_is_told_before_anything_is_loaded() -> None:
    with listen(ServeConfig(port=0)) as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"127.0.0.1:{port} can't be listened at"),
            listen(ServeConfig(port=port)),
        ):
            pass


def test_a_question_that_finds_no_place_is_429_and_the_server_not_ready(opened: Open) -> None:
    held = Held(reply)
    with opened(held, max_running=1, max_waiting=1) as client:
        assert client.get("/ready").status_code == 200
        answers: list[Any] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(client))) for _ in range(2)]
        threads[0].start()
        assert held.asked.wait(60)
        threads[1].start()
        until(lambda: client.get("/health").json()["waiting"] == 1)
        refused = ask(client)
        assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (
            429, "queue_full", "1"
        )  # fmt: skip
        assert client.get("/ready").status_code == 503
        held.let_go.set()
        for thread in threads:
            thread.join(60)
    assert [answer.json()["mlpo"]["answer"] for answer in answers] == ["18", "18"]


def test_an_answer_that_takes_too_long_is_504_and_its_question_is_let_go(opened: Open, ends: Ends) -> None:
    held = Held(reply)
    with opened(held, max_seconds=0.2) as client:
        late = ask(client)
        held.let_go.set()
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")
        until(lambda: client.get("/health").json()["running"] == 0)
    assert ends.ends == ["no answer in time; try again, or ask for fewer rounds"]


def test_who_stops_listening_is_let_go_and_the_trace_says_so(ends: Ends) -> None:
    async def leave() -> RequestState:
        body = {"model": LEADER, "messages": [{"role": "user", "content": "17 + 1?"}], "stream": True}
        question, events = read_question(body, ServeConfig()), asyncio.Queue[Event]()
        request_state, trace = RequestState(question, events.put_nowait), ends.begin(question.problem, LEADER)
        deadline = asyncio.get_running_loop().time() + 60
        heard = app.Asked(request_state, events, Reply(question, 1, 2, "tr-1", 0), trace, deadline).heard()
        request_state.tell(Words(0, "Hm"))
        assert await anext(heard) == Words(0, "Hm")
        await heard.aclose()
        return request_state

    assert asyncio.run(leave()).left
    assert ends.ends == ["the client left"]


def test_a_stream_in_which_nothing_happens_says_so_until_it_is_done(
    opened: Open, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "KEEP_ALIVE_SECONDS", 0.05)
    held = Held(reply)
    with opened(held) as client:
        threading.Timer(0.3, held.let_go.set).start()
        events = ask(client, stream=True).text.split("\n\n")
    assert events[1] == ": waiting"
    assert (events[-2:], ends.ends) == (["data: [DONE]", ""], ["answered 18"])


def test_models_that_fail_are_500_and_agents_that_are_down_worth_another_try(opened: Open, ends: Ends) -> None:
    def down(request: Any) -> Any:
        raise RuntimeError("out of luck")

    with opened(down) as client:
        refused = ask(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "models_failed")
    assert ends.ends[0].startswith("the models failed: out of luck")
    response = app.refusal(app.Refused(503, "agents_down", "no answer"))
    assert response.headers["retry-after"] == "1"


def test_alone_the_leader_has_no_team_and_plays_one_round(opened: Open) -> None:
    with opened() as client:
        leader, solo = client.get("/v1/models").json()["data"]
        assert (leader["mlpo"]["team"], leader["mlpo"]["max_rounds"]) == (["adder", "guesser"], 5)
        assert solo["mlpo"] == {"version": 1, "team": []}
        assert client.get("/v1/models/gpt-4").status_code == 404
        chunks = ask(client, model=f"{LEADER}-solo", stream=True).text.split("\n\n")
        assert json.loads(chunks[0].removeprefix("data: "))["mlpo"]["num_rounds"] == 1


def test_a_large_body_is_refused_however_it_comes(opened: Open) -> None:
    def parts() -> Iterator[bytes]:
        yield from [b" " * 2**18] * 5

    with opened() as client:
        assert client.post("/v1/chat/completions", content=parts()).status_code == 413


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"model": "leader", "messages": [{"role": "user", "content": "1 + 1? \\ud83d"}]}', "invalid_request"),
        (b'{"model": "leader", "mess\\ud83d": 1}', "invalid_request"),
        (b'{"model": "leader", "user": "\xed\xa0\xbd"}', "invalid_request"),  # Python reads halves in UTF-8 too
        (b"\xff", "invalid_json"),
        (b"[" * 200_000, "invalid_json"),
    ],
)
def test_what_is_json_and_no_text_or_no_json_at_all_is_the_clients_mistake(
    opened: Open, content: bytes, code: str
) -> None:
    with opened() as client:
        refused = client.post("/v1/chat/completions", content=content)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)


def test_a_failure_that_nobody_foresaw_is_json_that_tells_nothing_of_the_inside(opened: Open, ends: Ends) -> None:
    def begin(*about: Any, **more: Any) -> Any:
        raise RuntimeError("sqlite:////home/me/mlflow.db")

    ends.begin = begin  # type: ignore[method-assign]
    with opened() as client:
        outside = TestClient(client.app, headers=dict(client.headers), raise_server_exceptions=False)  # as a browser is
        failed = ask(outside)
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal_error")
    assert failed.json()["error"]["type"] == "server_error"
    assert "mlflow" not in failed.text


def test_the_page_may_load_nothing_from_elsewhere(opened: Open) -> None:
    with opened() as client:
        assert "default-src 'none'" in client.get("/").headers["content-security-policy"]


def test_health_says_that_the_thread_of_the_models_has_ended(opened: Open) -> None:
    with opened() as client:
        assert client.get("/health").json()["status"] == "ok"
        client.app_state["scheduler"].close()
        ended = client.get("/health")
        assert (ended.status_code, ended.json()["version"]) == (503, 1)
