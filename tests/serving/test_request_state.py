"""One question under way: who hears a completion grow, and when a question can't go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from mlpo.config import ConfigError, ServeConfig
from mlpo.inference.backend import failed
from mlpo.inference.scripted import ScriptedBackend
from mlpo.serving.events import Done, Event, Proposals, Refused, Words
from mlpo.serving.request import read_question
from mlpo.serving.request_state import Listeners, RequestState, watched
from mlpo.types import LEADER, Message, Request, Sampling, StrategyRun, Transcript


def request_state(**fields: Any) -> tuple[RequestState, list[Event]]:
    told: list[Event] = []
    body = {"model": LEADER, "messages": [{"role": "user", "content": "17 + 1?"}], "stream": True} | fields
    return RequestState(read_question(body, ServeConfig()), told.append), told


def request(model: str = LEADER) -> Request:
    return Request("p", model, (Message("user", "17 + 1?"),), Sampling(max_tokens=4), 0)


def test_all_who_wait_for_a_completion_hear_it_grow_and_nobody_after_it_has_ended() -> None:
    listeners = Listeners()
    (first, heard), (second, also_heard), (whole, nothing) = (
        request_state(),
        request_state(),
        request_state(stream=False),
    )
    asked = [request()]
    with listeners.listening(first, asked), listeners.listening(second, asked), listeners.listening(whole, asked):
        listeners.hear(request(), lambda: "eigh")
        listeners.hear(request("adder"), lambda: "no leader")
    listeners.hear(request(), lambda: "eighteen")
    assert heard == also_heard == [Words(0, "eigh")]
    assert nothing == []


def played(agents: Iterable[str], down: Iterable[str], *, max_dead: int) -> list[Event]:
    """What is told of a run that asks these agents, of which some are down."""
    requests = [request(name) for name in agents]

    def run() -> StrategyRun:
        yield requests
        return Transcript("p", "leader", (), "18")

    one, told = request_state()
    backend = ScriptedBackend(lambda _: "18")
    watching = watched(one, run(), {r.model: backend for r in requests}, Listeners(), max_dead=max_dead)
    next(watching)
    try:
        watching.send([failed(r, "silent") if r.model in down else backend.generate([r])[0] for r in requests])
    except StopIteration:
        return told
    raise AssertionError("the run goes on")


def test_a_question_goes_on_without_as_many_agents_as_may_be_dead_but_not_without_all() -> None:
    [proposals, _] = played(["adder", "guesser"], ["guesser"], max_dead=1)
    assert isinstance(proposals, Proposals)
    assert proposals.answers == ("18", None)
    for team, max_dead in ((["adder", "guesser"], 0), (["guesser"], 1)):
        [refused] = played(team, ["guesser"], max_dead=max_dead)
        assert isinstance(refused, Refused)
        assert (refused.status, refused.code) == (503, "agents_down")
        assert f"no answer from guesser: silent; try again later, ask {LEADER}-solo" in refused.message


def test_one_after_another_agents_are_counted_together_and_one_that_answers_again_is_back() -> None:
    def told(max_dead: int, *down: bool) -> list[Event]:
        names = ("adder", "guesser", "adder")[: len(down)]

        def run() -> StrategyRun:
            for name in names:
                yield [request(name)]
            return Transcript("p", "leader", (), "18")

        one, told = request_state()
        backend = ScriptedBackend(lambda _: "18")
        team = dict.fromkeys(("adder", "guesser", LEADER), backend)
        watching = watched(one, run(), team, Listeners(), max_dead=max_dead)
        [asked] = next(watching)
        for dead in down:
            try:
                [asked] = watching.send([failed(asked, "silent") if dead else backend.generate([asked])[0]])
            except StopIteration:
                break
        return told

    assert isinstance(told(1, True, False)[-1], Done)
    assert isinstance(told(2, True, False, False)[-1], Done)
    for ended in (told(0, True), told(1, True, True), told(2, True, True)):  # none left of two is too few, too
        assert isinstance(ended[-1], Refused)
    assert "no answer from adder, guesser: silent" in str(told(2, True, True)[-1])


def test_further_samples_of_an_agent_are_neither_shown_nor_counted() -> None:
    def run() -> StrategyRun:
        yield [replace(request(name), sample=k) for name in ("adder", "guesser") for k in range(3)]
        return Transcript("p", "leader", (), "18")

    one, told = request_state()
    backend = ScriptedBackend(lambda _: "18")
    watching = watched(one, run(), {"adder": backend, "guesser": backend}, Listeners(), max_dead=1)
    asked = next(watching)
    with pytest.raises(StopIteration):
        watching.send([failed(r, "silent") if r.model == "guesser" else backend.generate([r])[0] for r in asked])
    assert isinstance(told[0], Proposals)
    assert told[0].answers == ("18", None)


def test_a_question_that_does_not_fit_is_refused_and_nobody_is_asked() -> None:
    class Narrow(ScriptedBackend):
        def check(self, requests: Iterable[Request]) -> None:
            raise ConfigError("9 tokens and at most 8 fit; ask shorter")

    def run() -> StrategyRun:
        yield [request()]
        raise AssertionError("it goes on")

    one, told = request_state()
    assert list(watched(one, run(), {LEADER: Narrow(lambda _: "18")}, Listeners(), max_dead=0)) == []
    [refused] = told
    assert isinstance(refused, Refused)
    assert (refused.status, refused.param, refused.message) == (
        400,
        "messages",
        "9 tokens and at most 8 fit; ask shorter",
    )
