"""A program that launches itself, each time in a fork of a process that has imported all a launcher needs.

    python launched.py WORK_FOLDER

Prints one line of JSON for every way to end: the launcher's exit code, and what it and the first process wrote.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

CASES = ("well", "first is wrong", "second is wrong", "interrupted")
NAME = "tests.training.launched"


def member(case: str, started: Path) -> None:
    """One of the two processes."""
    from mlpo.config import load_params
    from mlpo.training.distributed import join_ranks

    ranks = join_ranks("cpu")
    print(f"process {ranks.rank} of {ranks.count}", flush=True)
    ranks.wait()
    if case == ("first is wrong", "second is wrong")[ranks.rank]:
        load_params(Path(f"of-process-{ranks.rank}.yaml"))
    if case == "interrupted":
        (started / str(os.getpid())).touch()
        time.sleep(60)
    ranks.wait()


def live(case: str, work: Path) -> None:
    """The launcher of one case, with its output in a file."""
    from mlpo.config import RuntimeConfig
    from mlpo.training.launch import launch

    for stream in (1, 2):
        os.dup2(os.open(work / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os._exit(launch([NAME, case, str(work)], RuntimeConfig(device="cpu", processes=2), work / "logs"))


def main(work: Path) -> None:
    for module in ("accelerate.commands.launch", "torch.distributed.run", "mlpo.models.load"):
        importlib.import_module(module)  # for the forks
    for case in CASES:
        place = work / case
        place.mkdir()
        if not (pid := os.fork()):
            live(case, place)
        pids: list[str] = []
        while case == "interrupted" and len(pids) < 2:
            time.sleep(0.05)
            pids = [file.name for file in place.iterdir() if file.name.isdigit()]
        if pids:
            os.kill(pid, signal.SIGINT)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        alive = [number for number in pids if Path("/proc", number).exists()]
        print(json.dumps({"case": case, "code": code, "said": (place / "output").read_text(), "alive": alive}))


if __name__ == "__main__" and len(sys.argv) == 2:
    main(Path(sys.argv[1]))
elif __name__ == "__main__":
    from mlpo.cli_errors import exit_codes

    with exit_codes():
        member(sys.argv[1], Path(sys.argv[2]))
