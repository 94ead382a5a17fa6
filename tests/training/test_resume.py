"""Killed and resumed equals never stopped, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed.py")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["sft", "mlpo"])
def test_three_kills_change_no_bit(kind: str, seed: int, tiny_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), kind, str(tiny_folder), str(tmp_path), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    result = json.loads(last)
    assert result["equal"] == {"weights": True, "curve": True, "rollouts": True}
    assert result["steps"] == [1, 2, 3, 4, 5, 6, 7]
    assert result["run_id"] == f"run of the life to die at {result['deaths'][0]}"
    # The first life ends in step 3, behind the checkpoint of step 2; every later one says where it goes on.
    assert result["reached"][0] == 2
    resumed = [line for line in printed if "resuming from step" in line]
    assert resumed == [f"train_{kind}: resuming from step {step}" for step in result["reached"]]
