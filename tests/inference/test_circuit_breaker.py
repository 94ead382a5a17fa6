"""A dead model is left alone for a while, and then asked again."""

from __future__ import annotations

from mlpo.inference.backend import AllRefusedError, DeadModelError
from mlpo.inference.circuit_breaker import REST_SECONDS, CircuitBreaker
from mlpo.inference.scripted import ScriptedBackend
from mlpo.types import Message, Request, Sampling

REQUEST = Request("p", "judge", (Message("user", "?"),), Sampling(), 0)


def test_what_is_asked_of_a_dead_model_fails_at_once_until_it_is_tried_again() -> None:
    now, alive = [100.0], [False]

    def reply(request: Request) -> str:
        if not alive[0]:
            raise DeadModelError("judge is silent")
        return "well"

    inner = ScriptedBackend(reply)
    backend = CircuitBreaker(inner, clock=lambda: now[0])
    [dead] = backend.generate([REQUEST])
    assert (dead.finish_reason, dead.error, dead.model) == ("error", "judge is silent", "judge")
    alive[0] = True
    now[0] += REST_SECONDS - 1
    assert backend.generate([REQUEST])[0].finish_reason == "error"
    assert inner.num_calls == 1  # it was not asked again
    now[0] += 1
    assert backend.generate([REQUEST])[0].text == "well"


def test_a_model_whose_server_refuses_everything_is_left_alone_too() -> None:
    def reply(request: Request) -> str:
        raise AllRefusedError("judge takes no seed")

    [refused] = CircuitBreaker(ScriptedBackend(reply)).generate([REQUEST])
    assert (refused.finish_reason, refused.error) == ("error", "judge takes no seed")
