"""Start a command under `accelerate launch`: as many processes of it as the parameters ask for.

The doors stay what they are. DVC, Prefect and a person start `mlpo train_mlpo`, which starts its processes, passes
signals on to them, and leaves with the exit code of the one that failed.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpo.config import ConfigError, RuntimeConfig
from mlpo.exit_codes import TRANSIENT

LOGS = "MLPO_PROCESS_LOGS"
"""Environment variable: the folder where processes other than the first write what they say."""


def process_log(logs: Path, rank: int) -> Path:
    """Where the process of this rank writes what it says."""
    return logs / f"process-{rank}.log"


def wants_launch(runtime: RuntimeConfig) -> bool:
    """Whether this process is to start others. Those find WORLD_SIZE, as do the ones of a launcher of the user's."""
    return runtime.processes > 1 and "WORLD_SIZE" not in os.environ


def launch(command: Sequence[str], runtime: RuntimeConfig, logs: Path) -> int:
    """Run `python -m COMMAND` in `runtime.processes` processes of this machine, one a device, and wait for all.

    Args:
        command: a module and its arguments.
        logs: folder for what all but the first process say.
    Returns:
        0, or the exit code of the process that failed; the others are then ended. 128 + n if signal n ended them.
    Raises:
        ConfigError: the machine has fewer devices.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from accelerate.utils import patch_environment
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    shutil.rmtree(logs, ignore_errors=True)
    arguments = [
        "--multi_gpu",  # the launcher's word for several processes on a machine; without GPUs too
        *("--num_processes", str(runtime.processes), "--num_machines", "1", "--main_process_port", "0"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--module", *command),
    ]
    logging.disable(logging.CRITICAL)  # the launcher's account of a failure is forty lines, none of them the cause
    try:
        with patch_environment(**{LOGS: str(logs)}, **_for_device(runtime)):
            launch_command(launch_command_parser().parse_args(arguments))
    except ChildFailedError as error:
        return _explained(error.failures, logs)
    except SignalException as stop:
        return 128 + stop.sigval
    finally:
        logging.disable(logging.NOTSET)
    return 0


def _for_device(runtime: RuntimeConfig) -> dict[str, str]:
    import torch

    from mlpo.models.load import choose_device

    device, asked = choose_device(runtime.device), f"runtime.processes is {runtime.processes}"
    if device.type == "cpu":
        return {"ACCELERATE_USE_CPU": "true"}
    if str(device) != "cuda":
        raise ConfigError(f"{asked}, but runtime.device {runtime.device} is one device; set it to cuda or cpu")
    if runtime.processes > torch.cuda.device_count():
        raise ConfigError(f"{asked}, but this machine has {torch.cuda.device_count()} GPUs; lower it")
    return {}


def _explained(failures: Mapping[int, Any], logs: Path) -> int:
    """The exit code of the failure that is no consequence of another; what a quiet process said last is repeated."""

    def order(rank: int) -> tuple[bool, float, int]:
        failure = failures[rank]
        lost_another = failure.exitcode in (TRANSIENT, -signal.SIGTERM)
        return lost_another, failure.timestamp, rank

    rank = min(failures, key=order)
    code = int(failures[rank].exitcode)
    if rank:
        file = process_log(logs, rank)
        said = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.exists() else []
        last = next((line for line in reversed(said) if line.strip()), "it said nothing")
        print(f"mlpo: process {rank} ended with exit code {code}: {last} ({file})", file=sys.stderr)
    return code if code > 0 else 128 - code
