"""Kept completions: nothing is asked twice, failures are asked again, whoever asks gets it in their name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event

import pytest

from mlpo.inference import cache
from mlpo.inference.backend import AllRefusedError, Backend, DeferredBackend, OnAnswer, TransientError, failed
from mlpo.inference.cache import CachedBackend
from mlpo.inference.scripted import ScriptedBackend
from mlpo.store import CompletionStore, request_key
from mlpo.types import Completion, Message, Passage, Request, Sampling


def request(number: int, *, model: str = "geo", sample: int = 0) -> Request:
    return Request(f"p{number}", model, (Message("user", f"{number}?"),), Sampling(), seed=7, sample=sample)


def echo(wanted: Request) -> str:
    return f"{wanted.messages[-1].content} {wanted.sample}"


def key(wanted: Request) -> str:
    return request_key("scripted", wanted)


def test_the_second_run_makes_no_model_call(tmp_path: Path) -> None:
    wanted = [request(n, sample=s) for n in range(3) for s in range(2)]
    first, second = ScriptedBackend(echo), ScriptedBackend(echo)
    with CompletionStore(tmp_path / "store.jsonl") as store:
        once = CachedBackend(first, store, key).generate(wanted)
    with CompletionStore(tmp_path / "store.jsonl") as store:
        again = CachedBackend(second, store, key).generate(wanted)
    assert once == again
    assert (first.num_generations, second.num_calls) == (6, 0)


def test_only_what_is_new_is_paid_for() -> None:
    inner = ScriptedBackend(echo)
    kept: dict[str, Completion] = {}
    CachedBackend(inner, kept, key).generate([request(1), request(2)])
    more = CachedBackend(inner, kept, key)
    texts = [c.text for c in more.generate([request(3), request(1), request(2), request(4)])]
    assert texts == ["3? 0", "1? 0", "2? 0", "4? 0"]
    assert inner.num_generations == 4
    assert (more.num_asked, more.num_kept) == (2, 2)


def test_equal_requests_in_one_call_are_asked_once_and_answered_in_each_name() -> None:
    inner = ScriptedBackend(echo)
    one, other = request(1, model="geo"), replace(request(1, model="number"), problem_id="p9")
    answers = CachedBackend(inner, {}, key).generate([one, other])
    assert inner.num_generations == 1
    assert [(a.model, a.problem_id, a.text) for a in answers] == [("geo", "p1", "1? 0"), ("number", "p9", "1? 0")]


def test_a_kept_answer_shows_the_passages_of_who_asks_now() -> None:
    # the words are in the messages, and so in the key; where they stand in the documents is not
    kept: dict[str, Completion] = {}
    first, moved = (replace(request(1), passages=(Passage("1 is 1.", place),)) for place in ("a.md", "b.md"))
    inner = ScriptedBackend(echo)
    CachedBackend(inner, kept, key).generate([first])
    [answer] = CachedBackend(inner, kept, key).generate([moved])
    assert (answer.passages, inner.num_generations) == (moved.passages, 1)


def test_a_failure_is_answered_but_asked_again() -> None:
    kept: dict[str, Completion] = {}
    down = CachedBackend(ScriptedBackend(lambda r: failed(r, "server down")), kept, key)
    assert down.generate([request(1)])[0].error == "server down"
    up = ScriptedBackend(echo)
    assert CachedBackend(up, kept, key).generate([request(1)])[0].text == "1? 0"
    assert up.num_generations == 1


def test_what_alone_is_left_and_refused_is_data_though_the_backend_tells_nothing_one_by_one() -> None:
    class Refusing(ScriptedBackend):  # as a worker elsewhere, whose answers come all at once or not at all
        def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
            raise AllRefusedError("400: too long")

    kept: dict[str, Completion] = {}
    CachedBackend(ScriptedBackend(echo), kept, key).generate([request(1)])
    heard: list[int] = []
    again = CachedBackend(Refusing(echo), kept, key, on_done=heard.append)
    answers = again.generate([request(1), request(2), request(3)])
    assert [(a.finish_reason, a.error) for a in answers] == [("stop", "")] + 2 * [("error", "400: too long")]
    assert (sum(heard), list(kept)) == (3, [key(request(1))])
    with pytest.raises(AllRefusedError):
        CachedBackend(Refusing(echo), {}, key).generate([request(2)])


def test_a_run_that_goes_on_sends_the_batches_of_one_never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    # Chunks of 4 over 10 requests: [0..3] [4..7] [8 9]. Killed after the first, the second must again be [4..7].
    monkeypatch.setattr(cache, "CHUNK", 4)
    batches: list[list[str]] = []

    class Recording(ScriptedBackend):
        def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
            batches.append([r.problem_id for r in requests])
            if len(batches) == 2:
                raise KeyboardInterrupt
            return super().generate(requests, on_answer)

    kept: dict[str, Completion] = {}
    backend = CachedBackend(Recording(echo), kept, key)
    wanted = [request(n) for n in range(10)]
    with pytest.raises(KeyboardInterrupt):
        backend.generate(wanted)
    backend.generate(wanted)
    assert batches == [["p0", "p1", "p2", "p3"], ["p4", "p5", "p6", "p7"], ["p4", "p5", "p6", "p7"], ["p8", "p9"]]


def test_nothing_missing_opens_no_model() -> None:
    def must_not_open() -> Backend:
        raise AssertionError("opened")

    kept = {key(request(1)): Completion("p1", "geo", "kept", "stop", 1, 1)}
    backend = CachedBackend(DeferredBackend(must_not_open), kept, key)
    backend.check([request(1)])
    assert backend.generate([request(1)])[0].text == "kept"
    with pytest.raises(AssertionError, match="opened"):
        backend.check([request(1), request(2)])


def test_a_deferred_backend_is_opened_once() -> None:
    opened: list[ScriptedBackend] = []

    def open_backend() -> Backend:
        opened.append(ScriptedBackend(echo))
        return opened[-1]

    backend = DeferredBackend(open_backend)
    backend.check(iter([request(1), request(2)]))
    backend.generate([request(1)])
    backend.generate([request(2)])
    assert len(opened) == 1
    assert opened[0].num_calls == 2


def test_chunks_are_asked_at_a_time_by_as_many_threads_and_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 2)
    together = Barrier(3, timeout=30)  # broken unless three chunks of two are under way at a time

    class Waiting(ScriptedBackend):
        def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
            together.wait()
            return super().generate(requests, on_answer)

    kept: dict[str, Completion] = {}
    wanted = [request(n) for n in range(6)]
    backend = CachedBackend(Waiting(echo), kept, key, parallel=3)
    assert [c.text for c in backend.generate(wanted)] == [echo(r) for r in wanted]
    assert (len(kept), backend.num_asked) == (6, 6)


def test_an_error_in_one_thread_closes_the_backend_and_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 1)
    under_way, closed = Event(), Event()

    class Failing(ScriptedBackend):
        def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
            self.num_calls += 1
            if requests[0].problem_id == "p0":
                assert under_way.wait(30)
                raise TransientError("gone")
            under_way.set()
            assert closed.wait(30)  # as what a killed worker was asked
            raise TransientError("closed")

        def close(self) -> None:
            closed.set()

    inner = Failing(echo)
    with pytest.raises(TransientError, match="gone"):
        CachedBackend(inner, {}, key, parallel=2).generate([request(n) for n in range(5)])
    assert inner.num_calls < 5
