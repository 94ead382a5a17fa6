"""The runner: lockstep equals one by one, failures are data, memory is bounded by the window."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpo.inference.backend import failed
from mlpo.inference.runner import Lockstep, run_strategies, stream_strategies
from mlpo.inference.scripted import ScriptedBackend
from mlpo.inference.usage import GenerationLedger, MeteredBackend
from mlpo.types import Completion, Message, Request, Round, Sampling, StrategyRun, Transcript


def talk(problem: int, *, num_rounds: int, team: tuple[str, ...] = ("a", "b")) -> StrategyRun:
    """Every round quotes the last round's texts, so a mix-up of answers changes everything after it."""
    said = ""
    rounds: list[Round] = []
    for number in range(num_rounds):
        completions = yield [
            Request(f"p{problem}", name, (Message("user", f"{problem} {said}"),), Sampling(max_tokens=99), seed=number)
            for name in team
        ]
        said = "/".join(c.text for c in completions)
        rounds.append(Round(tuple(completions), None, said))
    return Transcript(f"p{problem}", "talk", tuple(rounds), said or None)


def echo(request: Request) -> str:
    return f"{request.model}{request.seed}({request.messages[-1].content})"


def one_by_one(run: Generator[list[Request], list[Completion], Transcript], backend: ScriptedBackend) -> Transcript:
    try:
        requests = next(run)
        while True:
            requests = run.send([c for r in requests for c in backend.generate([r])])
    except StopIteration as stop:
        transcript: Transcript = stop.value
        return transcript


@given(lengths=st.lists(st.integers(0, 4), max_size=12), window=st.integers(1, 5))
def test_lockstep_equals_one_by_one(lengths: list[int], window: int) -> None:
    backend = ScriptedBackend(echo)
    expected = [one_by_one(talk(p, num_rounds=n), backend) for p, n in enumerate(lengths)]
    runs = (talk(p, num_rounds=n) for p, n in enumerate(lengths))
    assert list(stream_strategies(runs, {"a": backend, "b": backend}, window=window)) == expected


def test_a_run_that_joins_later_and_one_that_leaves_change_nothing_for_the_others() -> None:
    backend = ScriptedBackend(echo)
    together = Lockstep({"a": backend, "b": backend})
    assert together.add(0, talk(0, num_rounds=2)) is None
    assert together.add(1, talk(1, num_rounds=3)) is None
    assert together.step() == {}
    together.drop(1)
    assert together.add(2, talk(2, num_rounds=1)) is None
    assert together.step() == {p: one_by_one(talk(p, num_rounds=n), ScriptedBackend(echo)) for p, n in ((0, 2), (2, 1))}
    assert len(together) == 0
    # two runs of two requests, twice
    assert (backend.num_calls, backend.num_generations) == (2, 8)
    nothing = together.add(3, talk(3, num_rounds=0))
    assert nothing is not None
    assert len(together) == 0


def test_one_call_per_backend_and_round() -> None:
    shared, own = ScriptedBackend(echo), ScriptedBackend(echo)
    run_strategies(
        (talk(p, num_rounds=2, team=("a", "b", "c")) for p in range(50)), {"a": shared, "b": shared, "c": own}
    )
    assert (shared.num_calls, shared.num_generations) == (2, 200)
    assert (own.num_calls, own.num_generations) == (2, 100)


def test_what_one_agent_is_asked_stays_together() -> None:
    # neighbours share their prompt's beginning, which a local model then reads once
    asked: list[str] = []
    backend = ScriptedBackend(lambda r: asked.append(r.model) or "x")  # type: ignore[func-returns-value]
    run_strategies((talk(p, num_rounds=1, team=("a", "b")) for p in range(3)), {"a": backend, "b": backend})
    assert asked == ["a", "a", "a", "b", "b", "b"]


def test_one_failure_does_not_lose_the_other_999() -> None:
    def reply(request: Request) -> str | Completion:
        return failed(request, "engine died") if request.problem_id == "p500" else "fine"

    ledger = GenerationLedger()
    metered = MeteredBackend(ScriptedBackend(reply), ledger)
    transcripts = run_strategies((talk(p, num_rounds=1, team=("a",)) for p in range(1000)), {"a": metered})
    assert sum(t.answer == "fine" for t in transcripts) == 999
    assert transcripts[500].rounds[0].proposals[0].error == "engine died"
    assert (ledger.models["a"].generations, ledger.models["a"].errors) == (1000, 1)


def test_only_a_window_of_runs_is_alive() -> None:
    alive: set[int] = set()
    most = 0

    def tracked(problem: int) -> StrategyRun:
        nonlocal most
        alive.add(problem)
        most = max(most, len(alive))
        transcript = yield from talk(problem, num_rounds=2)
        alive.remove(problem)
        return transcript

    def runs() -> Iterator[StrategyRun]:
        for problem in range(100):
            yield tracked(problem)

    backend = ScriptedBackend(lambda _: "x")
    for _ in stream_strategies(runs(), {"a": backend, "b": backend}, window=8):
        pass
    assert most == 8


def test_a_model_without_a_backend_is_named() -> None:
    with pytest.raises(ValueError, match=r"no backend for model 'b'; there are a"):
        run_strategies([talk(1, num_rounds=1)], {"a": ScriptedBackend(echo)})
