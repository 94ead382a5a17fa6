"""What both trainers tell Hugging Face's Trainer about this machine, and what they read from it."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, TrainingArguments
from transformers.training_args import ParallelMode

from mlpo.config import ConfigError
from mlpo.training.distributed import Ranks
from mlpo.training.run_folder import RunFolder


def quiet_libraries() -> None:
    """Errors only from transformers, TRL, accelerate and datasets; no telemetry; no progress bars of theirs."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import datasets
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("trl", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


def trainer_arguments(
    folder: Path, device: torch.device, compute_dtype: torch.dtype, *, seed: int, save_steps: int
) -> dict[str, Any]:
    """The arguments that have nothing to do with the method."""
    return {
        "output_dir": str(folder),
        "use_cpu": device.type == "cpu",
        "bf16": compute_dtype == torch.bfloat16,
        "gradient_checkpointing": False,
        "seed": seed,
        "save_strategy": "steps",
        "save_steps": save_steps,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is not finite must be seen, not averaged away
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "weight_decay": 0.0,
    }


def settle_device(arguments: TrainingArguments, device: torch.device) -> None:
    """Train in this process on the leader's own GPU alone, however many there are.

    Without a launcher, transformers takes cuda:0 and means to wrap the model in DataParallel over all GPUs it sees,
    which TRL refuses.
    """
    if arguments.parallel_mode == ParallelMode.DISTRIBUTED:
        return
    if device.type == "cuda":
        own = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(own)
        arguments.__dict__["_setup_devices"] = own  # what its cached property `device` reads
    arguments._n_gpu = min(arguments.n_gpu, 1)


def leave_unwrapped(model: PreTrainedModel, ranks: Ranks) -> None:
    """Keep accelerate from wrapping the model for data parallelism: `Ranks` sums the gradients."""
    if ranks.count > 1:
        model._is_accelerate_prepared = True  # type: ignore[assignment] # Accelerator.prepare_model asks for it


def rewind_once(run_folder: RunFolder, ranks: Ranks) -> int:
    """The step to go on from; one process brings the journals back to it before any other looks at them."""
    if ranks.is_main:
        run_folder.rewind()
    ranks.wait()
    return run_folder.checkpoint_step()


@contextmanager
def naming_the_budget(doing: str, parameter: str, value: int) -> Iterator[None]:
    """Turn the accelerator's out-of-memory into a message that names the parameter to lower.

    Raises:
        ConfigError: memory ran out inside the block.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise ConfigError(f"out of memory while {doing}; lower {parameter} (now {value})") from None


def peak_memory_mib(device: torch.device) -> float:
    """The most memory held so far: the GPU's, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
