"""Two processes train as one does: the same completions, losses and weights, to float32 rounding.

They hold all weights each, or share them out.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

PROGRAM = Path(__file__).with_name("together.py")
LOST = 75
"""What together.py's processes leave with when they lose the other one."""


class Runs:
    """What together.py left: `runs("mlpo-2")` is what the first of two processes reached."""

    def __init__(self, folder: Path, printed: str) -> None:
        self.folder, self.lines = folder, printed.splitlines()

    def __call__(self, name: str) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(self.folder / f"{name}.pt", weights_only=False)
        return loaded


@pytest.fixture(scope="module")
def runs(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, str(PROGRAM), str(tiny_folder), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return Runs(folder, done.stdout + done.stderr)


def close(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the order of sums: found were 5e-7 in weights that steps of 0.01 moved, 1e-6 in the curve."""
    assert [row["step"] for row in one["curve"]] == [row["step"] for row in other["curve"]]
    for mine, theirs in zip(one["curve"], other["curve"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    strip = [[{k: v for k, v in row.items() if k != "advantage"} for row in run["rollouts"]] for run in (one, other)]
    assert strip[0] == strip[1]
    for name, weight in one["weights"].items():
        torch.testing.assert_close(weight, other["weights"][name], atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "kind"),
    [*itertools.product(("sft", "mlpo", "lora"), ("2", "sharded")), ("last_layer", "sharded")],
)
def test_two_processes_train_as_one_does(runs: Runs, train: str, kind: str) -> None:
    one, two = runs(f"{train}-1"), runs(f"{train}-{kind}")
    close(one, two)
    second = runs(f"{train}-{kind}-second")
    assert all(torch.equal(weight, second["weights"][name]) for name, weight in two["weights"].items())


@pytest.mark.slow
@pytest.mark.parametrize("train", ["sft", "mlpo", "lora", "last_layer"])
def test_weights_gradients_and_moments_are_shared_out_by_halves(runs: Runs, train: str) -> None:
    whole = runs(f"{train}-1")["held"]
    assert whole["moments"] == 2 * whole["gradients"] == 2 * whole["weights"] > 0
    halves = [runs(f"{train}-sharded{which}")["held"] for which in ("", "-second")]
    for kind, total in whole.items():
        assert sum(half[kind] for half in halves) == total
        assert max(half[kind] for half in halves) < 0.51 * total


@pytest.mark.slow
def test_one_process_speaks_and_writes(runs: Runs) -> None:
    assert len([line for line in runs.lines if line.startswith("train_mlpo: 4 of 4 steps")]) == 12
    assert [row["problem"] for row in runs("mlpo-2")["rollouts"][::4]] == [f"p{i % 7}" for i in range(12)]


@pytest.mark.slow
def test_a_second_process_may_have_nothing_to_learn_from(runs: Runs) -> None:
    first = [row for row in runs("mlpo-2")["rollouts"] if row["step"] == 1]
    signal = {row["prompt"] for row in first if row["advantage"]}
    assert signal
    assert 1 not in signal  # prompt 1 of three is the second process's share


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["2", "sharded"])
def test_all_end_with_one_and_any_number_goes_on(runs: Runs, kind: str) -> None:
    assert f"stopped {kind} [9, {LOST}]" in runs.lines
    assert runs.lines.count("train_mlpo: resuming from step 2") == 4
    unbroken, again = runs(f"mlpo-{kind}"), runs(f"stopped-{kind}")
    assert (again["curve"], again["rollouts"]) == (unbroken["curve"], unbroken["rollouts"])
    assert all(torch.equal(weight, again["weights"][name]) for name, weight in unbroken["weights"].items())
    close(runs(f"alone-{kind}"), unbroken)
