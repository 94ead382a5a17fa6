"""A worker killed with -9 in the middle of a stage: run again, the same bytes, and nothing is paid twice."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from mlpo.files import write_json_atomic
from mlpo.layout import (
    CALIBRATION_PROBLEMS,
    MLPO_LEADER,
    SFT_LEADER,
    SHOT_PROBLEMS,
    SOLO_ACCURACY,
    TEST_PROBLEMS,
    TRAIN_PROBLEMS,
    WORK,
    proposals_of,
    reference_of,
)
from mlpo.store import write_jsonl_atomic
from mlpo.training.run_folder import RunFolder
from mlpo.types import Problem
from tests.flows.conftest import MakeCheckout, Prefect, eventually, run, running
from tests.training.conftest import save_tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),  # MLflow's
]

AGENT = "geo"
KEPT = WORK / "proposals" / f"{AGENT}.jsonl"
TRAINING = WORK / "training/train_mlpo"
NUM_TRAIN, NUM_TEST, SAMPLES = 480, 320, 2
"""1,280 proposals: five chunks of 256, each kept when it is whole."""
STEPS = 24
PATIENCE = 1200
"""Seconds; most of it is for a machine with other work."""


def configure(checkout: Path) -> None:
    """One agent and a leader, both tiny and random."""
    sayings = [f"<answer>{number}</answer>" for number in (1, 2)]
    save_tiny(checkout / "tiny", sayings=sayings)
    save_tiny(checkout / SFT_LEADER, sayings=sayings)
    params: dict[str, Any] = {
        "seed": 0,
        "rounds": {"num_rounds": 1, "tell_certainty": False},
        "team": {AGENT: {"model": "tiny", "sampling": {"max_tokens": 24}}},
        "leader": {"model": "tiny"},
        "runtime": {"batch_tokens": 1024, "device": "cpu", "dtype": "float32"},
        "prepare": {"families": ["sum"]},
        "propose": {"samples": SAMPLES},
        "train_mlpo": {
            "steps": STEPS, "prompts_per_step": 2, "group_size": 8, "max_completion_tokens": 32, "save_steps": 1,
            "learning_rate": 0.01, "max_zero_reward_steps": STEPS,
        },
    }  # fmt: skip
    (checkout / "params.yaml").write_text(yaml.safe_dump(params))
    (checkout / reference_of(AGENT)).mkdir(parents=True)
    write_json_atomic(checkout / SOLO_ACCURACY, {})
    sizes = {TRAIN_PROBLEMS: NUM_TRAIN, CALIBRATION_PROBLEMS: 0, TEST_PROBLEMS: NUM_TEST, SHOT_PROBLEMS: 1}
    for path, num in sizes.items():
        split = path.stem
        write_jsonl_atomic(
            checkout / path,
            [
                Problem(f"{split}{n:06d}", "basics", "sum", f"{n} of {split}?", str(1 + n % 2), "integer")
                for n in range(num)
            ],
        )


def results(checkout: Path) -> dict[str, str]:
    """Every file that the two stages left -> its sha256."""
    folders = [proposals_of(AGENT).parent, MLPO_LEADER, Path("data/training")]
    paths = [path for folder in folders for path in sorted((checkout / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(checkout)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@contextmanager
def worker(prefect: Prefect) -> Iterator[psutil.Process]:
    """A worker of the pool `gpu`."""
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu", "--type", "process")
    with running(*command, cwd=prefect.folder, env=prefect.env, log=prefect.folder / "gpu.log") as process:
        yield psutil.Process(process.pid)


def kill(doomed: list[psutil.Process], others: list[psutil.Process]) -> None:
    """Kill with -9; what they had started must end by itself."""
    for process in doomed:
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not any(is_alive(process) for process in others), PATIENCE)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kept_keys(checkout: Path) -> list[str]:
    lines = (checkout / KEPT).read_text().splitlines() if (checkout / KEPT).exists() else []
    return [json.loads(line)["key"] for line in lines if line.endswith("}")]


def test_a_worker_killed_in_propose_and_one_killed_in_train_mlpo(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout = make_checkout()
    configure(checkout)
    make_pool = ("work-pool", "create", "gpu", "--type", "process", "--overwrite")
    run(sys.executable, "-m", "prefect", *make_pool, cwd=checkout, env=prefect.env, timeout=PATIENCE)
    prefect.deploy(checkout, "pipeline-gpu")

    with worker(prefect) as first:
        in_propose = prefect.start("pipeline-gpu", stages=["propose", "train_mlpo"])
        eventually(lambda: len(kept_keys(checkout)) >= 256, PATIENCE)
        started = first.children(recursive=True)
        flow = next(process for process in started if "prefect.engine" in process.cmdline())
        # worker and flow at once: only the keeper can notice
        kill([first, flow], started)
    at_the_kill = kept_keys(checkout)
    assert 256 <= len(at_the_kill) < NUM_TRAIN * SAMPLES + NUM_TEST
    assert prefect.state(in_propose)[0] == "RUNNING"  # nobody is left to say otherwise: the automation's case
    prefect.post(f"/flow_runs/{in_propose}/set_state", state={"type": "CRASHED"}, force=False)

    with worker(prefect) as second:
        in_training = prefect.start("pipeline-gpu", stages=["propose", "train_mlpo"])
        eventually(lambda: RunFolder(checkout / TRAINING).checkpoint_step() >= 2, PATIENCE)
        kill([second], second.children(recursive=True))
    step = RunFolder(checkout / TRAINING).checkpoint_step()
    assert 2 <= step < STEPS
    assert prefect.end(in_training)[0] == "CRASHED"  # the flow saw its worker go

    with worker(prefect):
        undisturbed = prefect.start("pipeline-gpu", stages=["propose", "train_mlpo"])
        assert prefect.end(undisturbed, PATIENCE)[1].startswith("1 of 2 stages ran, the others were up to date")
    assert f"train_mlpo: resuming from step {step}" in prefect.log(undisturbed)
    keys = kept_keys(checkout)
    assert len(keys) == len(set(keys)) == NUM_TRAIN * SAMPLES + NUM_TEST
    assert keys[: len(at_the_kill)] == at_the_kill
    assert statuses(checkout) == {f"propose@{AGENT}": ["KILLED", "FINISHED"], "train_mlpo": ["FINISHED"]}

    after_kills = results(checkout)
    for folder in (WORK, proposals_of(AGENT).parent, MLPO_LEADER, Path("data/training")):
        shutil.rmtree(checkout / folder)
    for stage in (("propose", AGENT), ("train_mlpo",)):
        run("mlpo", *stage, cwd=checkout, env=prefect.env, timeout=PATIENCE)
    assert results(checkout) == after_kills


def statuses(checkout: Path) -> dict[str, list[str]]:
    """Stage -> how its MLflow runs ended, oldest first."""
    client = MlflowClient(f"sqlite:///{checkout / 'mlflow.db'}")
    found: dict[str, list[str]] = {}
    for each in client.search_runs(["1"], order_by=["attributes.start_time ASC"]):
        if stage := each.data.tags.get("mlpo.stage"):
            found.setdefault(stage, []).append(each.info.status)
        else:
            assert each.info.status == "FINISHED", "the pipeline's run"
    return found
