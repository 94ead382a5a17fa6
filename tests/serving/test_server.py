"""The server, asked by the official client over real HTTP: answers, errors, streams, limits, traces."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from mlpo.config import ConfigError, Params, parse_params
from mlpo.inference.scripted import ScriptedModels
from mlpo.serving.server import service
from mlpo.tracking.connect import as_global_store, connect
from mlpo.tracking.registry import model_id_of
from mlpo.types import LEADER, Request
from tests.serving.conftest import Serve, enter, make_champion, register_version, reply, scripted

HTTP = httpx.Client(verify=False)
"""Never asked for TLS, whose certificates are slow to read."""


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    HTTP.close()


def ask(client: OpenAI, question: str = "17 + 1?", model: str = "leader", **fields: Any) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=model, messages=messages, extra_body=fields)


def changed(params: Params, **serve: Any) -> Params:
    return params.model_copy(update={"serve": params.serve.model_copy(update=serve)})


def test_the_leader_answers_with_its_team(client: OpenAI) -> None:
    completion = ask(client)
    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("18", "stop")
    assert choice.message.model_extra["reasoning_content"] == "adder says 18 and so do I"
    own = completion.model_extra["mlpo"]
    assert (own["version"], own["answer"], own["num_rounds"], own["dead_agents"]) == (1, "18", 2, [])
    # 2 rounds: of completions, 2 agents say one word each and the leader 6
    assert completion.usage.completion_tokens == 2 * (2 * 1 + 7)
    by_model = own["usage"].values()
    assert completion.usage.prompt_tokens == sum(row["prompt_tokens"] for row in by_model)
    assert completion.system_fingerprint == "leader-1"


def test_the_leader_answers_alone_and_with_as_many_rounds_as_asked(client: OpenAI) -> None:
    alone = ask(client, model="leader-solo")
    assert (alone.choices[0].message.content, alone.usage.completion_tokens) == ("18", 7)
    longer = ask(client, num_rounds=3, transcript=True)
    own = longer.model_extra["mlpo"]
    assert own["num_rounds"] == 3
    assert [e["event"] for e in own["transcript"]] == ["proposals", "draft"] * 3
    assert {p["model"]: p["text"] for p in own["transcript"][0]["proposals"]} == {"adder": "18", "guesser": "18"}


def test_a_stream_brings_the_leaders_words_one_by_one(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="leader",
        messages=[{"role": "user", "content": "17 + 1?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    thoughts = [d.model_extra["reasoning_content"] for d in deltas if d.model_extra.get("reasoning_content")]
    assert thoughts == ["adder", " says", " 18", " and", " so", " do", " I"]
    assert "".join(delta.content or "" for delta in deltas) == "18"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 18)  # type: ignore[union-attr]


def test_a_stream_with_its_transcript_tells_each_round(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "17 + 1?"}]
    stream = client.chat.completions.create(
        model="leader", messages=messages, stream=True, extra_body={"transcript": True}
    )
    told = [chunk.model_extra["mlpo"] for chunk in stream if "mlpo" in (chunk.model_extra or {})]
    events = [(each["event"], each.get("round")) for each in told[1:] if each["event"] != "words"]
    assert events == [("proposals", 0), ("draft", 0), ("proposals", 1), ("draft", 1), ("done", None)]
    assert [each["thinking"] for each in told if each.get("event") == "words"][:2] == ["adder", "adder says"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_fifty_at_a_time_each_get_their_own_answer_in_few_batches(serve: Serve, stream: bool) -> None:
    opened: list[ScriptedModels] = []

    def slow(request: Request) -> str:
        time.sleep(0.002)  # the others come meanwhile
        return reply(request)

    def models_for(on_text: Any) -> ScriptedModels:
        opened.append(ScriptedModels(slow, on_text=on_text))
        return opened[-1]

    async def one(client: AsyncOpenAI, number: int) -> str | None:
        messages: Any = [{"role": "user", "content": f"{number} + 1?"}]
        if not stream:
            done = await client.chat.completions.create(model="leader", messages=messages)
            return done.choices[0].message.content
        chunks = await client.chat.completions.create(model="leader", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def everyone(url: str) -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=300) as client:
            return await asyncio.gather(*(one(client, number) for number in range(50)))

    with serve(models_for=models_for) as url:
        answers = asyncio.run(everyone(url))
    assert answers == [str(number + 1) for number in range(50)]
    backends = [models.backend for models in opened]
    assert sum(b.num_generations for b in backends) == 50 * 2 * 3
    assert sum(b.num_calls for b in backends) < 100  # one by one it would be 200


def test_mistakes_are_openais_errors(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'gpt-4' does not exist") as unknown:
        ask(client, model="gpt-4")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="num_rounds: 9 is over this server's 5") as wrong:
        ask(client, num_rounds=9)
    assert (wrong.value.param, wrong.value.type) == ("num_rounds", "invalid_request_error")
    with pytest.raises(openai.NotFoundError, match="there is no GET /v1/files"):
        client.files.list()


def test_the_models_are_listed(client: OpenAI) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == ["leader", "leader-solo"]
    assert client.models.retrieve("leader").model_extra["mlpo"]["team"] == ["adder", "guesser"]  # type: ignore[index]


def test_a_body_that_is_not_announced_as_json_or_is_none_is_refused(url: str) -> None:
    place = f"{url}/v1/chat/completions"
    assert HTTP.post(place, content=b"{}").status_code == 415
    broken = HTTP.post(place, content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
    huge = HTTP.post(place, content=b" " * (2**20 + 1), headers={"content-type": "application/json"})
    assert huge.status_code == 413


class Held:
    """Scripted models that answer the team only when they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked = threading.Event()
        self.questions: list[str] = []

    def reply(self, request: Request) -> str:
        self.questions.append(request.messages[-1].content)
        self.asked.set()
        assert self.let_go.wait(300)
        return reply(request)

    def models_for(self, on_text: Any) -> ScriptedModels:
        return ScriptedModels(self.reply, on_text=on_text)


def send(url: str, question: str, **more: Any) -> httpx.Response:
    body = {"model": "leader", "messages": [{"role": "user", "content": question}]}
    return HTTP.post(f"{url}/v1/chat/completions", json=body, timeout=more.pop("timeout", 300))


def until(condition: Any) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that in a minute")


@pytest.mark.slow
def test_a_full_queue_is_429_and_a_client_that_left_makes_room(serve: Serve, params: Params) -> None:
    held = Held()
    with serve(changed(params, max_running=1, max_waiting=1), held.models_for) as url:
        state = lambda: HTTP.get(f"{url}/health").json()  # noqa: E731
        first: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: first.append(send(url, "1 + 1?")))
        thread.start()
        assert held.asked.wait(60)
        with pytest.raises(httpx.ReadTimeout):
            send(url, "2 + 1?", timeout=1)  # waits, and leaves
        until(lambda: state()["waiting"] == 0)
        second = threading.Thread(target=lambda: first.append(send(url, "3 + 1?")))
        second.start()
        until(lambda: state()["waiting"] == 1)
        refused = send(url, "4 + 1?")
        assert (refused.headers["retry-after"], refused.json()["error"]["code"]) == ("1", "queue_full")
        assert HTTP.get(f"{url}/ready").status_code == 503
        held.let_go.set()
        thread.join(300)
        second.join(300)
    assert sorted(r.json()["mlpo"]["answer"] for r in first) == ["2", "4"]
    assert not [question for question in held.questions if question.startswith(("2 +", "4 +"))]


@pytest.mark.slow
def test_an_agent_that_is_down_is_missed_and_named(serve: Serve, params: Params) -> None:
    raw = params.model_dump(mode="json", by_alias=True)
    raw["team"]["guesser"]["server"] = {"urls": ["http://127.0.0.1:9"]}  # nobody listens there
    raw["serve"] |= {"agent_seconds": 0.2}
    down = parse_params(raw)
    make_champion(register_version(down, "w1"))
    with serve(down) as url:
        answered = send(url, "17 + 1?").json()
        assert answered["mlpo"]["dead_agents"] == ["guesser"]
        assert answered["choices"][0]["message"]["content"] == "18"
    with serve(changed(down, max_dead_agents=0)) as url:
        refused = send(url, "17 + 1?")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "agents_down")
        assert "no answer from guesser" in refused.json()["error"]["message"]


@pytest.mark.slow
def test_a_new_champion_takes_over_while_questions_run(serve: Serve, params: Params) -> None:
    held, opened = Held(), []

    def models_for(on_text: Any) -> ScriptedModels:
        if on_text is None:
            return ScriptedModels(reply)
        opened.append(on_text)
        version = len(opened)

        def lead(request: Request) -> str:
            if version == 1:
                held.reply(request)
            return f"<think></think><answer>{version}00</answer>"

        return ScriptedModels(lead)

    with serve(models_for=models_for) as url:
        old: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: old.append(send(url, "1 + 1?")))
        thread.start()
        assert held.asked.wait(60)
        make_champion(register_version(params, "w1"))
        time.sleep(0.3)  # it is loaded meanwhile, and waits for the step under way
        held.let_go.set()
        thread.join(300)
        until(lambda: HTTP.get(f"{url}/health").json()["version"] == 2)
        new = send(url, "2 + 1?")
    assert (old[0].headers["x-leader-version"], old[0].json()["mlpo"]["answer"]) == ("1", "100")
    assert (new.headers["x-leader-version"], new.json()["mlpo"]["answer"]) == ("2", "200")


def test_without_a_champion_nothing_is_served(
    params: Params, empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path, empty_database, monkeypatch)
    with pytest.raises(ConfigError, match="no leader is champion yet; run the pipeline"), service(params, scripted):
        pass


@pytest.mark.slow
def test_a_served_question_is_a_trace_of_the_version(serve: Serve, params: Params) -> None:
    import mlflow

    with serve(changed(params, trace_share=1.0)) as url:
        answered = send(url, "17 + 1?")
        assert send(url, "17 + 1?").status_code == 200
    connection = connect()
    model_id = model_id_of(connection, 1)
    with as_global_store(connection):
        found = mlflow.search_traces(locations=[connection.experiment_id], model_id=model_id, return_type="list")
    by_id = {trace.info.trace_id: trace for trace in found}
    assert len(by_id) == 2
    trace = by_id[answered.json()["mlpo"]["trace_id"]]
    assert answered.headers["x-trace-id"] == trace.info.trace_id
    spans = {span.span_id: span for span in trace.data.spans}
    tree = [(spans[s.parent_id].name, s.name) for s in spans.values() if s.parent_id]
    assert sorted(tree) == sorted(
        [("leader", "round 0"), ("leader", "round 1")]
        + [(f"round {t}", name) for t in (0, 1) for name in ("adder", "guesser", LEADER)]
    )
    assert trace.info.token_usage["total_tokens"] == answered.json()["usage"]["total_tokens"]
    assert all(s.start_time_ns <= s.end_time_ns <= spans_end(trace) for s in spans.values())


def spans_end(trace: Any) -> int:
    [root] = [span for span in trace.data.spans if not span.parent_id]
    assert json.loads(trace.info.response_preview)["answer"] == "18"
    return int(root.end_time_ns)
