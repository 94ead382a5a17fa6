"""The HTTP side: OpenAI's two resources, health, and the page. It waits for events and never touches a model."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from mlpo.config import ServeConfig
from mlpo.serving.events import Done, Event, Refused
from mlpo.serving.request import MODELS, BadRequestError, Question, read_question, unknown_model
from mlpo.serving.request_state import RequestState
from mlpo.serving.response import Reply, sse
from mlpo.serving.scheduler import BusyError, Scheduler
from mlpo.tracking.serving_traces import ServedTrace, ServedTraces

KEEP_ALIVE_SECONDS = 10.0
"""A stream in which nothing happens says so this often, so that no proxy closes it."""
RETRY_SECONDS = 1
"""When a client that found no place is told to try again."""
PAGE = Path(__file__).with_name("page.html")
PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
MAX_BODY_BYTES = 2**20

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(slots=True)
class Asked:
    """A question that was taken: its events, and what will be replied."""

    request_state: RequestState
    events: asyncio.Queue[Event]
    reply: Reply
    trace: ServedTrace
    deadline: float
    """On the event loop's clock."""

    async def heard(self) -> AsyncGenerator[Event | None, None]:
        """Events until the last; None where nothing happened for a while. Who stops listening lets the work go."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                left = self.deadline - loop.time()
                if left <= 0:
                    yield self._end(Refused(504, "timeout", "no answer in time; try again, or ask for fewer rounds"))
                    return
                try:
                    event = await asyncio.wait_for(self.events.get(), min(left, KEEP_ALIVE_SECONDS))
                except TimeoutError:
                    yield None
                    continue
                if isinstance(event, Done | Refused):
                    yield self._end(event)
                    return
                yield event
        finally:
            if not self.request_state.left:
                self.request_state.left = True
                self.trace.failed("the client left")

    def _end(self, event: Done | Refused) -> Event:
        self.request_state.left = True
        if isinstance(event, Done):
            self.trace.answered(event.transcript, self.request_state.times_ns)
        else:
            self.trace.failed(event.message)
        return event


def make_app(
    title: str, config: ServeConfig, scheduler: Scheduler, traces: ServedTraces, *, key: str | None, lifespan: Lifespan
) -> FastAPI:
    """The application.

    Args:
        key: what clients must send as a bearer token; None asks for none.
        lifespan: runs beside it.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    app.include_router(_openai(config, scheduler, traces, key))
    _say_errors(app)
    _say_health(app, config, scheduler, traces)

    @app.get("/")
    async def page() -> Response:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers={"content-security-policy": PAGE_POLICY})

    return app


def _openai(config: ServeConfig, scheduler: Scheduler, traces: ServedTraces, key: str | None) -> APIRouter:
    """OpenAI's two resources, behind the key if there is one."""

    def keyed(request: Request) -> None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key is not None and not hmac.compare_digest(sent.encode(), key.encode()):
            told = "the key is missing or wrong; send the header Authorization: Bearer KEY"
            raise BadRequestError(Refused(401, "invalid_api_key", told))

    openai = APIRouter(prefix="/v1", dependencies=[Depends(keyed)])

    @openai.post("/chat/completions")
    async def complete(request: Request) -> Response:
        try:
            asked = _take(read_question(await _body(request), config), config, scheduler, traces)
        except BusyError:
            told = f"{config.max_waiting} questions wait already; try again, or raise serve.max_waiting"
            return refusal(Refused(429, "queue_full", told))
        if asked.reply.question.stream:
            headers = {"cache-control": "no-cache", "x-accel-buffering": "no"} | asked.reply.headers
            return StreamingResponse(_stream(asked), media_type="text/event-stream", headers=headers)
        return await _unless_gone(request, _whole(asked))

    @openai.get("/models")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": [_model(name, scheduler, config) for name in MODELS]})

    @openai.get("/models/{name}")
    async def model(name: str) -> Response:
        if name not in MODELS:
            raise BadRequestError(unknown_model(name))
        return JSONResponse(_model(name, scheduler, config))

    return openai


def _say_errors(app: FastAPI) -> None:
    """Whatever can't be answered is refused in OpenAI's form."""

    @app.exception_handler(BadRequestError)
    async def mistaken(_: Request, error: BadRequestError) -> Response:
        return refusal(error.refused)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nowhere(request: Request, error: HTTPException) -> Response:
        told = f"there is no {request.method} {request.url.path}; see / and /v1/chat/completions"
        return refusal(Refused(error.status_code, "not_found", told))

    @app.exception_handler(500)
    async def broken(_: Request, error: Exception) -> Response:
        # Starlette raises it again when this is sent, and uvicorn logs it
        return refusal(Refused(500, "internal_error", "the server failed; try again, and see its log"))


def _say_health(app: FastAPI, config: ServeConfig, scheduler: Scheduler, traces: ServedTraces) -> None:
    """Whether it lives, and whether it takes another question."""

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse(_state(scheduler, traces), 200 if scheduler.alive else 503)

    @app.get("/ready")
    async def ready() -> Response:
        takes = scheduler.alive and scheduler.champion is not None and scheduler.num_waiting < config.max_waiting
        return JSONResponse(_state(scheduler, traces), 200 if takes else 503)


def refusal(refused: Refused) -> Response:
    """A reply that says why there is none."""
    headers = {"retry-after": str(RETRY_SECONDS)} if refused.status in (429, 503) else {}
    return JSONResponse(refused.body, refused.status, headers)


async def _body(request: Request) -> object:
    """The JSON of a request; of no other type, which a page of another site could send without being asked."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        told = "the body must be JSON; send the header content-type: application/json"
        raise BadRequestError(Refused(415, "unsupported_media_type", told))
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BODY_BYTES:
            raise BadRequestError(Refused(413, "too_large", f"the body is over {MAX_BODY_BYTES} bytes; ask shorter"))
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # too many brackets inside each other are the second
        raise BadRequestError(Refused(400, "invalid_json", f"the body is not JSON: {error}; mend it")) from None


def _take(question: Question, config: ServeConfig, scheduler: Scheduler, traces: ServedTraces) -> Asked:
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event] = asyncio.Queue()

    def tell(event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has ended
            loop.call_soon_threadsafe(events.put_nowait, event)

    request_state, asked_ns = RequestState(question, tell), time.time_ns()
    champion = scheduler.take(request_state)
    num_rounds = champion.rounds_of(question)
    trace = traces.begin(
        question.problem,
        question.model,
        version=champion.version,
        model_id=champion.model_id,
        num_rounds=num_rounds,
        asked_ns=asked_ns,
    )
    reply = Reply(
        question,
        champion.version,
        num_rounds,
        trace.id,
        int(time.time()),
        decides_late=champion.decides_late(question),
        alone_first=champion.alone_first(question),
    )
    return Asked(request_state, events, reply, trace, loop.time() + config.max_seconds)


async def _stream(asked: Asked) -> AsyncIterator[bytes]:
    yield sse(asked.reply.opening())
    async with aclosing(asked.heard()) as events:
        async for event in events:
            if event is None:
                yield b": waiting\n\n"
                continue
            for chunk in asked.reply.chunks(event):
                yield sse(chunk)
    yield sse("[DONE]")


async def _whole(asked: Asked) -> Response:
    async with aclosing(asked.heard()) as events:
        async for event in events:
            if isinstance(event, Done):
                return JSONResponse(asked.reply.whole(event.transcript), headers=asked.reply.headers)
            if isinstance(event, Refused):
                response = refusal(event)
                response.headers.update(asked.reply.headers)
                return response
            if event is not None:
                asked.reply.hear(event)
    raise AssertionError("events end with the last")


async def _unless_gone(request: Request, answering: Awaitable[Response]) -> Response:
    """The answer; its work is let go if the client leaves before."""
    answer = asyncio.ensure_future(answering)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else Response(status_code=499)
    finally:
        for task in (answer, gone):
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _model(name: str, scheduler: Scheduler, config: ServeConfig) -> dict[str, Any]:
    champion = scheduler.champion
    assert champion is not None
    team = list(champion.agents) if name == MODELS[0] else []
    rounds = {"num_rounds": champion.num_rounds, "max_rounds": config.max_rounds} if team else {}
    own = {"version": champion.version, "team": team} | rounds
    return {"id": name, "object": "model", "created": 0, "owned_by": "mlpo", "mlpo": own}


def _state(scheduler: Scheduler, traces: ServedTraces) -> dict[str, Any]:
    return {
        "status": "ok" if scheduler.alive else "the thread of the models has ended; see the log and start again",
        "version": scheduler.champion.version if scheduler.champion else None,
        "running": scheduler.num_running,
        "waiting": scheduler.num_waiting,
        "dropped_traces": traces.num_dropped,
    }
