"""A dead model is left alone for a while, and then asked again."""

from __future__ import annotations

from mlpo.agents.backend import DeadModelError
from mlpo.agents.scripted import ScriptedBackend
from mlpo.agents.sparing import REST_SECONDS, SparingBackend
from mlpo.types import Message, Request, Sampling


def test_what_is_asked_of_a_dead_model_fails_at_once_until_it_is_tried_again() -> None:
    now, alive = [100.0], [False]

    def reply(request: Request) -> str:
        if not alive[0]:
            raise DeadModelError("judge is silent")
        return "well"

    inner = ScriptedBackend(reply)
    backend = SparingBackend(inner, clock=lambda: now[0])
    request = Request("p", "judge", (Message("user", "?"),), Sampling(), 0)
    [dead] = backend.generate([request])
    assert (dead.finish_reason, dead.error, dead.model) == ("error", "judge is silent", "judge")
    alive[0] = True
    now[0] += REST_SECONDS - 1
    assert backend.generate([request])[0].finish_reason == "error"
    assert inner.num_calls == 1  # it was not asked again
    now[0] += 1
    assert backend.generate([request])[0].text == "well"
