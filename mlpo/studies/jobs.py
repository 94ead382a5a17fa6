"""Runs the steps of a study, several at a time, each as soon as what it needs is there; no failure stops others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from mlpo.config import ConfigError
from mlpo.processes.process_group import kept
from mlpo.studies.folders import StudyFolders
from mlpo.studies.plan import EVALUATE, Run, RunId, Step, StepId, StudyPlan
from mlpo.studies.progress import StudyProgress

STUDY, VARIANT = "MLPO_STUDY", "MLPO_VARIANT"
"""Environment variables that tell a stage what its MLflow run belongs to."""
POLL_SECONDS = 1.0
_DVC_SAYS = re.compile(r"ERROR: |WARNING: |Running stage |> |Stage ")


class StudyJobs:
    """The steps of one study at work."""

    def __init__(
        self, name: str, plan: StudyPlan, folders: StudyFolders, *, jobs: int, progress: StudyProgress
    ) -> None:
        self._name = name
        self._runs: Mapping[RunId, Run] = {run.id: run for run in plan.runs}
        self._folders = folders
        self._jobs = jobs
        self._progress = progress
        self._waiting = [step for step in plan.steps if not folders.is_done(*step.id)]
        self._done = {step.id for step in plan.steps if folders.is_done(*step.id)}
        self._at_work: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self.failed: dict[RunId, str] = {}
        """Runs that did not come to their end -> why, one line."""
        self.exit_code = 0
        """Of the first step that failed."""

    def run(self) -> None:
        """Run all that can run; a second call, or a second process after a stop, does only what is missing."""
        going: dict[Future[tuple[int, str]], Step] = {}
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="study")
        try:
            while self._waiting or going:
                for step in self._ready()[: self._jobs - len(going)]:
                    self._waiting.remove(step)
                    self._progress.start(step)
                    going[pool.submit(self._do, step)] = step
                if not going:
                    break
                finished, _ = wait(going, POLL_SECONDS, FIRST_COMPLETED)
                self._progress.show()
                for future in finished:
                    self._end(going.pop(future), *future.result())
        finally:
            self._stopped = True
            for process in [*self._at_work]:
                assert process.stdin is not None
                process.stdin.close()  # its keeper ends the group
            pool.shutdown(wait=True, cancel_futures=True)

    def _ready(self) -> list[Step]:
        """What can start now; what needs a failed step is given up."""
        while broken := next(((s, n) for s in self._waiting for n in s.needs if self._is_lost(n)), None):
            step, need = broken
            self._waiting.remove(step)
            self.failed.setdefault(step.id.run, f"needs {need.part} of {need.run}, which failed")
        return [step for step in self._waiting if self._done.issuperset(step.needs) and self._is_over(step.after)]

    def _is_lost(self, step: StepId) -> bool:
        return step.run in self.failed and step not in self._done

    def _is_over(self, step: StepId | None) -> bool:
        return step is None or step in self._done or self._is_lost(step)

    def _do(self, step: Step) -> tuple[int, str]:
        """Exit code, and why it is not 0."""
        started = time.monotonic()
        try:
            with self._folders.enter(step) as folder:
                if self._stopped:
                    return 1, "stopped"
                code, lines = self._repro(step, folder)
        except ConfigError as error:
            return 2, str(error)
        if code == 0:
            self._folders.finish(*step.id, time.monotonic() - started)
            return 0, ""
        exited = re.search(r"exited with (\d+)", "\n".join(lines))
        own = [line for line in lines if not _DVC_SAYS.match(line)]
        return int(exited[1]) if exited else code, own[-1] if own else (lines[-1] if lines else "no output")

    def _end(self, step: Step, code: int, reason: str) -> None:
        self._progress.end(step, reason)
        if code == 0:
            self._done.add(step.id)
            return
        self.failed[step.id.run] = f"{step.id.part}: {reason}"
        self.exit_code = self.exit_code or code

    def _repro(self, step: Step, folder: Path) -> tuple[int, list[str]]:
        """`dvc repro` under a keeper, which ends it if this process ends; its exit code and last lines."""
        run = self._runs[step.id.run]
        # A guest's leader comes from elsewhere: DVC is to take it as it is.
        alone = ["--single-item", "code"] if run.leader is not None and step.id.part == EVALUATE else []
        command = kept([sys.executable, "-m", "dvc", "repro", *alone, *step.stages])
        log = self._folders.log_path(self._name, run.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            log.open("ab") as file,
            subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment(run.id),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            self._at_work.add(process)
            try:
                assert process.stdout is not None
                lines = _pass_on(process.stdout, file, lambda line: self._progress.hear(step.id, line))
                return process.wait(), lines
            finally:
                self._at_work.discard(process)

    def _environment(self, run: RunId) -> dict[str, str]:
        threads = max(1, len(os.sched_getaffinity(0)) // self._jobs)
        threads = min(threads, int(os.environ.get("OMP_NUM_THREADS") or threads))
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(threads),
            STUDY: self._name,
            VARIANT: run.variant,
        }


def _pass_on(pipe: IO[bytes], file: IO[bytes], hear: Callable[[str], None]) -> list[str]:
    """Write every line to the log and tell it; the last ones come back, without those that are blank."""
    last: list[str] = []
    for line in pipe:
        file.write(line)
        file.flush()
        if text := line.decode(errors="replace").rstrip():
            hear(text)
            last = [*last[-30:], text]
    return last
