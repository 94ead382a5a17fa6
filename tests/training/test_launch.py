"""The launcher: however its processes end, all end, one speaks, and the exit code is that of the cause."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpo.config import ConfigError, RuntimeConfig
from mlpo.training.distributed import join_ranks
from mlpo.training.launch import launch, wants_launch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every case of launched.py, by name."""
    command = [sys.executable, "-m", "tests.training.launched", str(tmp_path_factory.mktemp("launched"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return {row["case"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
def test_the_first_process_alone_speaks(ends: dict[str, Any]) -> None:
    assert ends["well"]["code"] == 0
    assert ends["well"]["said"] == "process 0 of 2\n"


@pytest.mark.slow
def test_a_mistake_is_said_once_and_keeps_its_exit_code(ends: dict[str, Any]) -> None:
    assert ends["first is wrong"]["code"] == 2
    greeting, *mistake = ends["first is wrong"]["said"].splitlines()
    assert greeting == "process 0 of 2"
    assert mistake == ["mlpo: of-process-0.yaml: no such file; run from the repository's root"]


@pytest.mark.slow
def test_what_a_quiet_process_died_of_is_said_last(ends: dict[str, Any]) -> None:
    assert ends["second is wrong"]["code"] == 2
    *_, last = ends["second is wrong"]["said"].splitlines()
    assert last.startswith("mlpo: process 1 ended with exit code 2: mlpo: of-process-1.yaml: no such file")


@pytest.mark.slow
def test_an_interrupt_ends_every_process(ends: dict[str, Any]) -> None:
    assert ends["interrupted"]["code"] == 130
    assert ends["interrupted"]["alive"] == []


def test_one_process_starts_no_others_and_a_started_one_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not wants_launch(RuntimeConfig())
    assert wants_launch(RuntimeConfig(processes=2))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not wants_launch(RuntimeConfig(processes=2))


def test_more_processes_than_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"runtime.processes is 2, but runtime.device cuda:0 is one device"):
        launch(["never"], RuntimeConfig(device="cuda:0", processes=2), tmp_path)


@pytest.mark.parametrize("wrapper", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_wrappers_of_the_launchers_are_refused_with_what_to_set_instead(
    wrapper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{wrapper}", "true")
    with pytest.raises(ConfigError, match=rf"set up for {wrapper}.*runtime\.shard: true"):
        join_ranks("cpu")
