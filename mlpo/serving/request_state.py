"""One request in flight: its question, whom the thread that plays it tells, and whether the client has left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlpo.config import ConfigError
from mlpo.inference.backend import Backend
from mlpo.method.answers import agent_answer, leader_answer
from mlpo.serving.events import Done, Draft, Event, Proposals, Refused, Words
from mlpo.serving.request import SOLO, Question
from mlpo.types import LEADER, Completion, Request, StrategyRun, Transcript


class RequestState:
    """A question with who waits for it."""

    def __init__(self, question: Question, tell: Callable[[Event], None]) -> None:
        """`tell` is called by the playing thread."""
        self.question = question
        self.tell = tell
        self.left = False
        """Nobody waits any more: its client is gone, or its time is up."""
        self.num_drafts = 0
        """The leader's answers so far, that alone among them."""
        self.times_ns: list[int] = []
        """When it was begun, and then when each of its answers came: the team's, the leader's, and so on."""


class Listeners:
    """Who wants to hear a completion grow."""

    def __init__(self) -> None:
        self._tickets: dict[Request, list[RequestState]] = {}

    def hear(self, request: Request, text: Callable[[], str]) -> None:
        """Tell those who wait for this request what there is of its completion."""
        if tickets := self._tickets.get(request):
            told = text()
            for request_state in tickets:
                request_state.tell(Words(request_state.num_drafts, told))

    @contextmanager
    def listening(self, request_state: RequestState, requests: Sequence[Request]) -> Iterator[None]:
        """Inside the block the request hears of the leader's words, if they are to be streamed."""
        wanted = [r for r in requests if r.model == LEADER and r.sample == 0] if request_state.question.stream else []
        for request in wanted:
            self._tickets.setdefault(request, []).append(request_state)
        try:
            yield
        finally:
            for request in wanted:
                self._tickets[request].remove(request_state)
                if not self._tickets[request]:
                    del self._tickets[request]


def watched(
    request_state: RequestState,
    run: StrategyRun,
    backends: Mapping[str, Backend],
    listeners: Listeners,
    *,
    max_dead: int,
) -> StrategyRun:
    """Play `run` as it is, and tell the request what happens. Where it can't go on, it alone ends, with the reason."""
    completions: list[Completion] | None = None
    team = _Team(len(backends.keys() - {LEADER}), max_dead)
    request_state.times_ns.append(time.time_ns())
    while True:
        try:
            requests = next(run) if completions is None else run.send(completions)
        except StopIteration as stop:
            request_state.tell(Done(stop.value))
            transcript: Transcript = stop.value
            return transcript
        refused = _too_long(requests, backends)
        if refused is None:
            with listeners.listening(request_state, requests):
                completions = yield requests
            request_state.times_ns.append(time.time_ns())
            refused = team.too_few(completions)
            if refused is None:
                _tell(request_state, completions)
        if refused is not None:
            run.close()
            request_state.tell(refused)
            return Transcript(request_state.question.problem.id, "refused", (), None)


def _too_long(requests: Sequence[Request], backends: Mapping[str, Backend]) -> Refused | None:
    try:
        for request in requests:
            backends[request.model].check([request])
    except ConfigError as error:
        return Refused(400, "context_length_exceeded", str(error), "messages")
    return None


@dataclass(slots=True)
class _Team:
    """Which agents failed when they were asked last: all at once, or one after another."""

    size: int
    max_dead: int
    dead: dict[str, str] = field(default_factory=dict)
    """Agent -> why."""

    def too_few(self, completions: Sequence[Completion]) -> Refused | None:
        """The answer if too few agents are left: of a team whose agents all failed nothing is left to lead."""
        for each in completions:
            if each.sample == 0:
                self.dead.pop(each.model, None)
                self.dead |= {each.model: each.error} if each.finish_reason == "error" else {}
        leads = LEADER not in self.dead and len(self.dead) < self.size and len(self.dead) <= self.max_dead
        if leads or not self.dead:
            return None
        names, reason = ", ".join(self.dead), next(iter(self.dead.values()))
        mend = f"try again later, ask {SOLO}, or raise serve.max_dead_agents (now {self.max_dead})"
        return Refused(503, "agents_down", f"no answer from {names}: {reason}; {mend}")


def _tell(request_state: RequestState, completions: Sequence[Completion]) -> None:
    problem = request_state.question.problem
    if completions[0].model == LEADER:
        draft = completions[0]  # others are further samples of it
        request_state.tell(Draft(request_state.num_drafts, draft, leader_answer(draft, problem).answer))
        request_state.num_drafts += 1
    else:
        first = tuple(c for c in completions if c.sample == 0)  # further ones only say how sure an agent is
        request_state.tell(Proposals(request_state.num_drafts, first, tuple(agent_answer(c, problem) for c in first)))
