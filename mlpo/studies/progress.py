"""How far a study is: a line when a step starts or ends and every minute between, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from mlpo.progress_lines import read_progress
from mlpo.studies.plan import Step, StepId

LINE_SECONDS = 60.0
"""Seconds between two lines while nothing starts or ends."""
FORETOLD_SHARE = 0.05
"""From this share of the work on, what was done says how long the rest takes; before, the estimate does."""


class StudyProgress:
    """Hears of steps and of what they say; tells a person."""

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        jobs: int,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = {step.id: step for step in steps}
        self._jobs = jobs
        self._say = say
        self._clock = clock
        self._started = self._said = clock()
        self._begun: dict[StepId, float] = {}
        self._shares: dict[StepId, float] = {}
        self._pictures: dict[StepId, str] = {}
        self._ended: set[StepId] = set()

    def start(self, step: Step) -> None:
        """A step begins."""
        self._begun[step.id] = self._clock()
        self._say(f"{self._count()} {step.id.run}: {step.id.part} starts")

    def hear(self, step: StepId, line: str) -> None:
        """A step says something."""
        if reached := read_progress(line):
            self._pictures[step] = str(reached)
            stages = self._steps[step].stages
            before = stages.index(reached.title) if reached.title in stages else 0
            self._shares[step] = (before + reached.share) / len(stages)

    def end(self, step: Step, reason: str) -> None:
        """A step ends, well if there is no reason."""
        self._ended.add(step.id)
        took = timedelta(seconds=round(self._clock() - self._begun[step.id]))
        how = f"FAILED after {took}: {reason}" if reason else f"done in {took}"
        self._say(f"{self._count()} {step.id.run}: {step.id.part} {how}{self._left()}")
        self._said = self._clock()

    def show(self) -> None:
        """Say where the steps at work are, if nothing was said for a while."""
        if self._clock() - self._said >= LINE_SECONDS:
            self._said = self._clock()
            at_work = [step for step in self._begun if not self._over(step)]
            working = [f"{step.run} {self._pictures.get(step, step.part)}" for step in at_work]
            self._say(f"{self._count()} {'; '.join(working)}{self._left()}")

    @property
    def seconds_left(self) -> float:
        """By the estimate, corrected by how long took what is done."""
        total = sum(step.cost.seconds for step in self._steps.values())
        done = sum(self._share(step.id) * step.cost.seconds for step in self._steps.values())
        elapsed = self._clock() - self._started
        speed = done / elapsed if elapsed and done > FORETOLD_SHARE * total else float(self._jobs)
        return (total - done) / speed

    def _share(self, step: StepId) -> float:
        return 1.0 if self._over(step) else self._shares.get(step, 0.0)

    def _over(self, step: StepId) -> bool:
        return step in self._ended

    def _count(self) -> str:
        return f"[{len(self._ended)}/{len(self._steps)}]"

    def _left(self) -> str:
        if len(self._ended) == len(self._steps):
            return ""
        return f", about {timedelta(seconds=round(self.seconds_left))} left"
