"""A real vLLM inside the training process: it draws from the trained weights, and a run with it repeats and resumes.

`make vllm` installs one for CPUs; MLPO_TEST_VLLM names the Python of another, which has what training needs, too.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.conftest import save_tiny
from tests.training.test_distributed import Runs

VLLM = os.environ.get("MLPO_TEST_VLLM")
PROGRAM = Path(__file__).with_name("colocated.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(VLLM is None, reason="no vLLM here: make vllm"),
]


class Found(Runs):
    """What colocated.py left: runs as files, the rest by name."""

    def __init__(self, folder: Path, printed: str) -> None:
        super().__init__(folder, printed)
        self.told: dict[str, Any] = json.loads(self.lines[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    assert VLLM is not None
    folder = tmp_path_factory.mktemp("colocated")
    save_tiny(folder / "tiny", width=128)  # vLLM's attention on a CPU wants heads of 32
    root = PROGRAM.parents[2]
    done = subprocess.run(
        [VLLM, str(PROGRAM), str(folder / "tiny"), str(folder)], capture_output=True, text=True, timeout=600, cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"},
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Found(folder, done.stdout)


@pytest.mark.parametrize("kind", ["weights", "adapters"])
def test_greedy_tokens_are_our_samplers_as_long_as_the_weights_are_copied(found: Found, kind: str) -> None:
    told = found.told[kind]
    assert told["before"]
    assert not told["stale"]  # after an optimizer step, and before the copy
    assert "train_mlpo.max_logprob_difference = 0.001" in told["refused"]
    assert told["after"]


def test_completions_follow_from_their_seeds_and_end_where_ours_do(found: Found) -> None:
    told = found.told["weights"]
    assert told["again"]
    assert told["alone"]
    assert not told["other_seeds"]
    assert told["distinct"] > 1
    assert told["reasons"] == ["length", "stop"]
    assert told["ends"]
    assert told["length"]
    assert told["difference"] < 1e-3
    assert "runtime.batch_tokens" in told["too_long"]
    assert told["inherited"] == []  # servers that are started later do not inherit what vLLM was told here


def test_every_step_of_a_run_says_how_far_the_engine_is(found: Found) -> None:
    curve = found("one")["curve"]
    assert [row["step"] for row in curve] == [1, 2, 3, 4]
    for row in curve:
        assert 0 < row["rollout_logprob_difference"] <= row["rollout_logprob_difference_max"] < 1e-3


def test_a_run_that_is_killed_and_goes_on_draws_and_learns_the_same(found: Found) -> None:
    assert found.told["codes"]["stopped"] == [9]
    one, resumed = found("one"), found("stopped")
    assert (one["curve"], one["rollouts"]) == (resumed["curve"], resumed["rollouts"])
    assert all(torch.equal(weight, resumed["weights"][name]) for name, weight in one["weights"].items())


def test_two_processes_that_share_weights_and_have_an_engine_each_train_as_one_does(found: Found) -> None:
    one, two = found("one"), found("two")
    for mine, theirs in zip(one["rollouts"], two["rollouts"], strict=True):
        assert mine | {"advantage": 0} == theirs | {"advantage": 0}  # it is rounded
    # The order of sums differs by process and CPU, and Adam makes a step of up to 0.01 even of a gradient near 0:
    # seen were one weight of 12,800 at 1.6e-3 and all others below 5e-4.
    for name, weight in one["weights"].items():
        away = (weight - two["weights"][name]).detach().abs()
        assert int((away > 5e-4).sum()) <= weight.numel() // 1000, name
        assert float(away.max()) < 0.01, name


def test_no_process_is_left(found: Found) -> None:
    assert found.told["codes"] == {"one": [0], "stopped": [9], "resumed": [0], "two": [0, 0]}
    assert found.told["left"] == []
