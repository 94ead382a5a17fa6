"""A scheduler with scripted champions, no HTTP and no registry: what takes questions, and who waits for an answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlpo.config import Params, ServeConfig
from mlpo.evaluation.registered_leader import RegisteredLeader
from mlpo.inference.scripted import ScriptedBackend, ScriptedModels
from mlpo.method.prompts import AgentPrompt
from mlpo.serving.champion import Champion, ServedPool
from mlpo.serving.events import Done, Event, Refused
from mlpo.serving.request import read_question
from mlpo.serving.request_state import Listeners, RequestState
from mlpo.serving.scheduler import Scheduler
from mlpo.types import LEADER, Message, Request, Sampling

Reply = Callable[[Request], str]


class Models(ScriptedModels):
    """Scripted models that know when they were let go."""

    def __init__(self, reply: Reply, on_text: Any = None) -> None:
        super().__init__(reply)
        self.backend = _Closing(reply, on_text=on_text)

    @property
    def closed(self) -> bool:
        return isinstance(self.backend, _Closing) and self.backend.closed


class _Closing(ScriptedBackend):
    closed = False

    def close(self) -> None:
        self.closed = True


class Held:
    """A script that answers only when it is let go."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.asked, self.let_go = threading.Event(), threading.Event()
        self.questions: list[str] = []

    def __call__(self, request: Request) -> str:
        self.questions.append(request.messages[-1].content)
        self.asked.set()
        assert self.let_go.wait(60)
        return self._reply(request)


def champion(params: Params, models: ScriptedModels, version: int = 1) -> Champion:
    """A version of the leader, loaded."""
    team = tuple(AgentPrompt(name, "Be brief.") for name in params.team)
    model_pool = ServedPool(models, max_loaded=1)
    found = Champion(version, RegisteredLeader(Path("leader"), params, team), model_pool, None)
    found.backends[LEADER] = model_pool.backend("leader")
    found.backends[LEADER].check([Request("probe", LEADER, (Message("user", "?"),), Sampling(), 0)])
    return found


@contextmanager
def seated(
    config: ServeConfig, first: Champion, team: ScriptedModels, listeners: Listeners | None = None
) -> Iterator[Scheduler]:
    """A scheduler at which this champion sits."""
    scheduler = Scheduler(config, ServedPool(team, max_loaded=2), listeners or Listeners())
    try:
        scheduler.seat(first).result(60)
        yield scheduler
    finally:
        scheduler.close()


class Asked:
    """A question and its events."""

    def __init__(self, scheduler: Scheduler, question: str, **fields: Any) -> None:
        self._events: queue.Queue[Event] = queue.Queue()
        body = {"model": LEADER, "messages": [{"role": "user", "content": question}]} | fields
        self.request_state = RequestState(read_question(body, ServeConfig()), self._events.put)
        self.version = scheduler.take(self.request_state).version

    def end(self) -> Done | Refused:
        """How it ends."""
        while True:
            event = self._events.get(timeout=60)
            if isinstance(event, Done | Refused):
                return event

    @property
    def answer(self) -> str | None:
        """What it ends with."""
        end = self.end()
        assert isinstance(end, Done), end
        return end.transcript.answer


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, a minute at most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come to that in a minute"
        time.sleep(0.01)
