"""Resume: a training goes on in its run folder if parameters and inputs are those that it was started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlpo.config import Params, Section, effective
from mlpo.layout import WORK
from mlpo.models.load import LoadedModel, choose_device, choose_dtype, load_model
from mlpo.tracking.provenance import content_md5
from mlpo.training.distributed import Ranks
from mlpo.training.run_folder import RunFolder


def claim_run_folder(
    stage: str, params: Params, section: Section, inputs: Sequence[Path], extra: Mapping[str, Any]
) -> RunFolder:
    """The stage's run folder under .mlpo, fresh or to go on with.

    Args:
        section: the stage's own parameters.
        inputs: files and folders it reads: their content counts.
        extra: whatever else the result depends on, by name.
    Raises:
        ConfigError: an unfinished run with other values lies there.
    """
    own = {f"{stage}.{name}": value for name, value in effective(section).items()}
    fingerprint = {
        "seed": params.seed,
        "runtime.dtype": params.runtime.dtype,
        **own,
        **{str(path): content_md5(path) for path in inputs},
        **extra,
    }
    run_folder = run_folder_of(stage)
    run_folder.claim(fingerprint)
    return run_folder


def run_folder_of(stage: str) -> RunFolder:
    """Where a stage's training lies; it is for the process that writes to claim it."""
    return RunFolder(WORK / "training" / stage)


def load_to_train(model: str, revision: str | None, params: Params, ranks: Ranks) -> tuple[LoadedModel, torch.dtype]:
    """The model in float32, whatever it will be computed in: small updates would be lost in bfloat16 weights.

    Weights that are shared out are read on the CPU: no GPU ever has to hold them all in float32.

    Returns:
        The model, and the dtype to compute in.
    """
    runtime = params.runtime
    compute_dtype = choose_dtype(runtime.dtype, choose_device(runtime.device))
    device = "cpu" if runtime.shard and ranks.count > 1 else runtime.device
    return load_model(model, revision, device=device, dtype="float32"), compute_dtype
