"""Stage `propose@<agent>`: one agent answers every problem, once and for all (data/problems -> data/proposals)."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mlpo.config import ConfigError, Params
from mlpo.files import write_lines_atomic
from mlpo.inference.backend import TransientError
from mlpo.inference.cache import CHUNK, CachedBackend
from mlpo.inference.model_pool import ModelPool, Models
from mlpo.layout import CALIBRATION_PROBLEMS, PROBLEMS, TEST_PROBLEMS, TRAIN_PROBLEMS, WORK, proposals_of, reference_of
from mlpo.method.strategies.leader_rounds import agent_request
from mlpo.stages.finished import finished_output
from mlpo.stages.progress import progress
from mlpo.stages.timings import stage_clock
from mlpo.store import CompletionStore, encode_kept, read_jsonl, read_kept, request_key
from mlpo.team.models import team_models
from mlpo.team.prompts import agent_prompt, check_agent
from mlpo.team.sampling import team_sampling
from mlpo.tracking.stage_run import stage_run
from mlpo.types import Completion, Problem, Request

WINDOW = 4096
"""Requests in memory at a time, or more where many Ray workers answer."""
CHUNKS_PER_WORKER = 4
"""Of a window: a worker that is done early goes on while others still answer."""


class Place(NamedTuple):
    """Where a proposal stands in the sorted file, and the key under which it is kept."""

    problem_id: str
    sample: int
    key: str


def run(params: Params, agent: str, *, models: Models | None = None) -> None:
    """Ask `agent` for M proposals a training problem and one a calibration or test problem, as round 0 will ask.

    Finished completions stay in .mlpo/proposals, so a stopped run goes on and a changed one pays only for what is new.

    Raises:
        ConfigError: no such agent, no problems, or a prompt that does not fit; nothing is written.
        TransientError: no request could be answered, or the agent's server stayed dead; what it had answered is kept.
    """
    check_agent(params, agent)
    total = sum(1 for _ in proposal_requests(params, agent))
    output = proposals_of(agent)
    with (
        stage_clock(f"propose@{agent}") as clock,
        stage_run(f"propose@{agent}", params, inputs=_inputs(agent), outputs=[output]) as tracked,
        closing(_open_store(agent)) as store,
        progress(f"propose@{agent}", total, unit="proposals") as advance,
    ):
        source = models or team_models(params)
        config, ray = params.team[agent], params.runtime.ray
        with closing(
            ModelPool(source, store, request_key, ledger=clock.ledger, on_done=advance, ray=ray)
        ) as model_pool:
            backend = model_pool.backend(config.model, config.revision, config.server, config.quantize)
            backend.check(proposal_requests(params, agent))
            window = max(WINDOW, CHUNKS_PER_WORKER * CHUNK * (ray.workers if ray else 1))
            places, failures = _ask(backend, proposal_requests(params, agent), window)
        if len(failures) == total:
            reason = next(iter(failures.values())).error
            raise TransientError(f"{agent}: none of {total} requests was answered: {reason}")
        proposals = ChainMap(failures, store)
        write_lines_atomic(output, (encode_kept(place.key, proposals[place.key]) for place in sorted(places)))
        tracked.log_result({"errors": len(failures), "asked": backend.num_asked})
    print(f"{output}: {total} proposals, {backend.num_asked} of them new, {len(failures)} failed")


def proposal_requests(params: Params, agent: str) -> Iterator[Request]:
    """Everything the agent is asked: M samples of each training problem, sample 0 of each calibration and test problem.

    Raises:
        ConfigError: a split is missing, or one is empty that may not be.
    """
    prompt, sampling = agent_prompt(agent, params.team[agent]), team_sampling(params)[agent]
    samples = {TRAIN_PROBLEMS: params.propose.samples, CALIBRATION_PROBLEMS: 1, TEST_PROBLEMS: 1}
    for split, num_samples in samples.items():
        empty = True
        for problem in read_jsonl(split, Problem):
            empty = False
            for sample in range(num_samples):
                yield agent_request(problem, prompt, sampling, params.seed, sample=sample)
        if empty and split != CALIBRATION_PROBLEMS:
            raise ConfigError(f"{split}: no problems; name other prepare.families or raise prepare.num_{split.stem}")


def _inputs(agent: str) -> list[Path]:
    """Without the folder of references where stage `reference` was not run: an agent without one needs none."""
    return [PROBLEMS, *(folder for folder in (reference_of(agent),) if folder.is_dir())]


def _open_store(agent: str) -> CompletionStore:
    """The agent's kept completions; those of a finished file count too, as after `dvc pull` in a fresh clone."""
    store = CompletionStore(WORK / "proposals" / f"{agent}.jsonl")
    if finished := finished_output(proposals_of(agent)):
        store.update((k, c) for k, c in read_kept(finished) if k not in store and c.finish_reason != "error")
    return store


def _ask(backend: CachedBackend, requests: Iterator[Request], size: int) -> tuple[list[Place], dict[str, Completion]]:
    """Ask window by window. Returns where each completion belongs, and by key those that failed and are not kept."""
    places: list[Place] = []
    failures: dict[str, Completion] = {}
    while window := list(islice(requests, size)):
        for request, completion in zip(window, backend.generate(window), strict=True):
            places.append(Place(request.problem_id, request.sample, backend.key(request)))
            if completion.finish_reason == "error":
                failures[places[-1].key] = completion
    return places, failures
