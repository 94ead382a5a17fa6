"""One case: both sides in turns, each time in a process of its own: what one leaves in memory is not the other's."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlpo.tracking.provenance import current_commit
from speed.shape import Shape

if TYPE_CHECKING:  # the parent of the measured processes loads no torch
    from collections.abc import Callable, Mapping

    from speed.contender import Work

ROOT = Path(__file__).parents[1]
Side = Literal["ours", "theirs"]
SIDES: tuple[Side, Side] = ("ours", "theirs")
MODULES = {
    "update": "(a) update",
    "rollout": "(b) roll-out",
    "proposals": "(c) proposals",
    "steps": "(d) steps, TRL",
    "steps_comlrl": "(e) steps, comlrl",
}


def measure(name: str, shape: Shape, device: str, repeats: int) -> dict[str, Any]:
    """A row of the table: medians of the times, the highest of the peaks.

    Raises:
        RuntimeError: a side failed; the message ends with what it said.
    """
    turns = [(side, _child(side, name, shape, device)) for _ in range(repeats) for side in SIDES]
    found = {side: [turn for of, turn in turns if of == side] for side in SIDES}
    ours, theirs = (statistics.median(turn["seconds"] for turn in found[side]) for side in SIDES)
    peak, their_peak = (max(turn["peak_mb"] for turn in found[side]) for side in SIDES)
    first = found["ours"][0]
    return {
        "name": name,
        "shape": {"P": shape.prompt, "C": shape.completion, "G": shape.group, "prompts": shape.prompts},
        "ours_seconds": ours,
        "theirs_seconds": theirs,
        "ratio": theirs / ours,
        "ratios": [round(t["seconds"] / o["seconds"], 3) for o, t in zip(found["ours"], found["theirs"], strict=True)],
        "token_limit": shape.token_limit,
        "peak_mb": peak,
        "theirs_peak_mb": their_peak,
        "tokens_per_second": first["tokens"] / ours,
        "device": first["device"],
        "dtype": first["dtype"],
        "repeats": repeats,
        "commit": _commit(),
    }


def _commit() -> str:
    """The commit that is measured; with a + if tracked files differ from it."""
    commit = current_commit(ROOT)
    return commit.sha[:7] + "+" * commit.dirty


def one_gpu(device: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variable that lets a process see the GPU that `device` names, or the first, of those seen here."""
    index = int(device.partition(":")[2] or 0)
    seen = environment.get("CUDA_VISIBLE_DEVICES")
    one = str(index) if seen is None else next(iter(seen.split(",")[index : index + 1]), "")
    return {"CUDA_VISIBLE_DEVICES": one}


def _child(side: Side, name: str, shape: Shape, device: str) -> dict[str, Any]:
    """One side, once. It sees one GPU at most: of several, a stock trainer would train on all."""
    job = json.dumps({"side": side, "name": name, "shape": asdict(shape), "device": device.partition(":")[0]})
    done = subprocess.run(
        [sys.executable, "-m", "speed.measure", job], capture_output=True, text=True, check=False, cwd=ROOT,
        env=os.environ | one_gpu(device, os.environ),
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{name} {shape} {side}: exit {done.returncode}: {done.stderr.strip()[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _run(side: Side, name: str, shape: Shape, device: str) -> dict[str, Any]:
    """One repeat of one side, after a small round that pays for what is only paid once; on a GPU after a whole one."""
    module = importlib.import_module(f"speed.{name}")  # a wrong name fails before anything is loaded
    import torch

    from mlpo.models.load import choose_device, choose_dtype
    from mlpo.training.trainer_setup import peak_memory_mib

    where = choose_device(device)
    make: Callable[[Shape, str], Work] = getattr(module, side)
    make(Shape(min(shape.prompt, 64), 4, 2, 1), device)()
    work = make(shape, device)
    if where.type == "cuda":
        work()
    tokens, seconds = work()
    dtype = str(choose_dtype("auto", where)).removeprefix("torch.")
    label = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {
        "seconds": seconds,
        "tokens": tokens,
        "peak_mb": peak_memory_mib(where),
        "device": label,
        "dtype": f"{dtype} autocast" if module.TRAIN and where.type == "cuda" else "float32" if module.TRAIN else dtype,
    }


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(_run(asked["side"], asked["name"], Shape(**asked["shape"]), asked["device"])))
