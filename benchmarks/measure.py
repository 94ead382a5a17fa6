"""One case in processes of its own: `time` runs both sides in turns, `peak` runs one side and reads its memory."""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.shape import Shape

if TYPE_CHECKING:  # the parent of the measured processes loads no torch
    from benchmarks.contender import Work

ROOT = Path(__file__).parents[1]
Side = Literal["ours", "theirs"]
MODULES = {
    "update": "(a) update",
    "rollout": "(b) roll-out",
    "proposals": "(c) proposals",
    "steps": "(d) steps, TRL",
    "steps_comlrl": "(e) steps, comlrl",
}


def measure(name: str, shape: Shape, device: str, repeats: int) -> dict[str, Any]:
    """A row of the table. Peaks come from fresh processes: what one side leaves behind is not the other's.

    Raises:
        RuntimeError: a side failed; the message ends with what it said.
    """
    times = _child("time", name, shape, device, repeats)
    peaks = {side: _child(side, name, shape, device, 1)["peak_mb"] for side in ("ours", "theirs")}
    ours, theirs = statistics.median(times["ours"]), statistics.median(times["theirs"])
    return {
        "name": name,
        "shape": {"P": shape.prompt, "C": shape.completion, "G": shape.group, "prompts": shape.prompts},
        "ours_seconds": ours,
        "theirs_seconds": theirs,
        "ratio": theirs / ours,
        "token_limit": shape.token_limit,
        "peak_mb": peaks["ours"],
        "theirs_peak_mb": peaks["theirs"],
        "tokens_per_second": times["tokens"] / ours,
        "device": times["device"],
        "dtype": times["dtype"],
        "repeats": repeats,
    }


def _child(mode: str, name: str, shape: Shape, device: str, repeats: int) -> dict[str, Any]:
    job = json.dumps({"mode": mode, "name": name, "shape": asdict(shape), "device": device, "repeats": repeats})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", job], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} {shape} {mode}: exit {done.returncode}: {done.stderr.strip()[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _side(name: str, side: str, shape: Shape, device: str) -> Work:
    work: Work = getattr(importlib.import_module(f"benchmarks.{name}"), side)(shape, device)
    return work


def _run(job: dict[str, Any]) -> dict[str, Any]:
    importlib.import_module(f"benchmarks.{job['name']}")  # a wrong name fails before anything is loaded
    shape = Shape(**job["shape"])
    if job["mode"] == "time":
        return _interleaved(job["name"], shape, job["device"], job["repeats"])
    from mlpo.models.load import choose_device
    from mlpo.training.machine import peak_memory_mib

    _side(job["name"], job["mode"], shape, job["device"])()
    return {"peak_mb": peak_memory_mib(choose_device(job["device"]))}


def _interleaved(name: str, shape: Shape, device: str, repeats: int) -> dict[str, Any]:
    """Ours, theirs, ours, theirs ..., after one small round of each that pays for what is only paid once."""
    import torch

    from mlpo.models.load import choose_device, choose_dtype

    where = choose_device(device)
    small = Shape(min(shape.prompt, 64), 4, 2, 1)
    for side in ("ours", "theirs"):
        _side(name, side, small, device)()
    sides = {side: _side(name, side, shape, device) for side in ("ours", "theirs")}
    if where.type == "cuda":
        for work in sides.values():
            work()
    times: dict[str, list[float]] = {side: [] for side in sides}
    tokens = 0
    for _ in range(repeats):
        for side, work in sides.items():
            tokens, seconds = work()
            times[side].append(seconds)
    train = importlib.import_module(f"benchmarks.{name}").TRAIN
    dtype = str(choose_dtype("auto", where)).removeprefix("torch.")
    label = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return {
        **times,
        "tokens": tokens,
        "device": label,
        "dtype": f"{dtype} autocast" if train and where.type == "cuda" else "float32" if train else dtype,
    }


if __name__ == "__main__":
    print(json.dumps(_run(json.loads(sys.argv[1]))))
