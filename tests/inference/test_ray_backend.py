"""Models on a real Ray of two workers: answers as without it, and a worker that is killed loses nothing."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from mlpo.config import ConfigError, RayConfig
from mlpo.inference import cache
from mlpo.inference.backend import Backend, DeferredBackend, TransientError
from mlpo.inference.cache import CachedBackend
from mlpo.inference.ray_backend import RayModels, _get
from mlpo.inference.scripted import ScriptedModels
from mlpo.store import CompletionStore, request_key
from mlpo.types import Completion, Message, Request, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
CONFIG = RayConfig(workers=2, start_seconds=600, batch_seconds=300)
WANTED = [Request(f"p{n}", "geo", (Message("user", f"{n}?"),), Sampling(), seed=7, sample=n % 3) for n in range(240)]
BAD = Request("bad", "geo", (Message("user", "bad"),), Sampling(), seed=7)


def reply(request: Request) -> str:
    """Slow enough that a worker is killed at work."""
    time.sleep(0.02)
    if request == BAD:
        raise ConfigError("geo, problem bad: too long")
    return f"{request.messages[-1].content} {request.sample} seed {request.seed}"


def key(request: Request) -> str:
    return request_key("scripted", request)


@pytest.fixture(autouse=True)
def workers_find_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(cache, "CHUNK", 4)


def rays() -> list[psutil.Process]:
    """Processes of a Ray of ours."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name().startswith(("ray::", "raylet", "gcs_server")) and process.status() != "zombie":
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def kill_a_worker_at_work(store: Path, over: threading.Event) -> int:
    """Kill one when the first answers are kept; how many were by then."""
    while not over.is_set():
        workers = [process for process in rays() if process.name().startswith("ray::_Worker")]
        if workers and store.exists() and (num_kept := len(store.read_bytes().splitlines())):
            workers[0].kill()
            return num_kept
        time.sleep(0.02)
    return 0


def answered(store: Path, open_backend: Backend, parallel: int) -> tuple[list[Completion], int]:
    with CompletionStore(store) as kept, closing(CachedBackend(open_backend, kept, key, parallel=parallel)) as backend:
        return backend.generate(WANTED), backend.num_asked


def test_two_workers_of_whom_one_is_killed_answer_as_one_process_and_are_not_asked_again(tmp_path: Path) -> None:
    alone, _ = answered(tmp_path / "alone.jsonl", ScriptedModels(reply).open("geo", None), 1)
    models, store = RayModels(ScriptedModels(reply), CONFIG), tmp_path / "ray.jsonl"
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_a_worker_at_work, store, over)
        try:
            answers, num_asked = answered(store, DeferredBackend(lambda: models.open("geo", None)), 2)
        finally:
            over.set()
        assert 0 < killed.result() < len(WANTED)
    assert answers == alone
    assert num_asked == len(WANTED)
    assert sorted(store.read_text().splitlines()) == sorted((tmp_path / "alone.jsonl").read_text().splitlines())
    assert rays() == []

    again = DeferredBackend(lambda: pytest.fail("all is kept, and Ray was started"))
    assert answered(store, again, 2) == (alone, 0)


@pytest.mark.parametrize(
    ("error", "said"), [("GetTimeoutError", "did not answer in 5 s"), ("ActorDiedError", "died 4 times")]
)
def test_a_worker_that_is_late_or_dead_may_answer_another_time(
    error: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def get(reference: object, timeout: float) -> None:
        raise getattr(ray.exceptions, error)

    monkeypatch.setattr(ray, "get", get)  # a cluster's worker is killed for good only by four deaths
    with pytest.raises(TransientError, match=f"a Ray worker {said}"):
        _get(None, 5.0)  # type: ignore[arg-type]


def test_what_a_worker_raises_is_raised_as_it_was(tmp_path: Path) -> None:
    with closing(RayModels(ScriptedModels(reply), CONFIG).open("geo", None)) as backend:
        with pytest.raises(ConfigError, match=r"^geo, problem bad: too long$"):
            backend.generate([BAD])
        assert backend.generate(WANTED[:2])[1].text == "1? 1 seed 7"  # the worker is well
