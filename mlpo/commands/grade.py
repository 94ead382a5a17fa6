"""`mlpo grade`: texts against targets, by the grader that trains and evaluates (JSONL in, JSONL out, in order)."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TextIO

from pydantic import TypeAdapter, ValidationError

from mlpo.config import ConfigError
from mlpo.equivalence import EquivalenceWorker
from mlpo.method.answer_forms import canonical_form
from mlpo.method.answers import is_correct, parse_plain
from mlpo.types import AnswerKind, Problem

LINES_UNDER_WAY = 256
"""Lines in memory for each worker: what bounds it, however long the input is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One line to grade."""

    kind: AnswerKind
    target: str
    text: str
    """What a model said: the last `<answer>`, the last boxed answer, "the answer is ...", or a short or last line."""
    choices: tuple[str, ...] = ()
    """The options' texts, for kind choice."""
    aliases: tuple[str, ...] = ()
    """Other targets that are also right."""


class Grade(NamedTuple):
    """One line's result."""

    answer: str | None
    """As read from the text; null where it holds none, or several."""
    score: int
    reason: Literal["correct", "different", "no answer", "timed out"]


class Grader:
    """Grades one line at a time; each thread compares expressions in a killable process of its own."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._processes = ExitStack()

    def __call__(self, asked: Asked) -> Grade:
        """The grade of one line.

        Raises:
            ValueError: the target cannot be read as its kind.
        """
        worker = self._worker()
        late = worker.num_timeouts
        problem = Problem("", "grade", "grade", "", asked.target, asked.kind, asked.aliases, asked.choices)
        if not any(canonical_form(target, asked.kind, asked.choices) for target in (asked.target, *asked.aliases)):
            raise ValueError(f"{asked.target!r} is no {asked.kind}")
        answer = parse_plain(asked.text, asked.kind, asked.choices)
        if is_correct(answer, problem, equivalent=lambda a, b: a == b or worker(a, b)):
            return Grade(answer, 1, "correct")
        if answer is None:
            return Grade(None, 0, "no answer")
        return Grade(answer, 0, "timed out" if worker.num_timeouts > late else "different")

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def _worker(self) -> EquivalenceWorker:
        if not hasattr(self._own, "worker"):
            self._own.worker = EquivalenceWorker()
            self._processes.callback(self._own.worker.close)
        worker: EquivalenceWorker = self._own.worker
        return worker


def run(lines: Iterable[bytes], out: TextIO, *, name: str, workers: int) -> None:
    """Grade every line, with so many processes that compare expressions; what is done is written as it goes.

    Raises:
        ConfigError: a line is no {kind, target, text}; the message says which, and the lines before it are written.
    """
    grader = Grader()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for grade in _in_order(pool, grader, _read(lines, name), name, workers * LINES_UNDER_WAY):
                out.write(json.dumps(grade._asdict(), ensure_ascii=False) + "\n")
        finally:
            pool.shutdown(cancel_futures=True)
            grader.close()


def _in_order(
    pool: ThreadPoolExecutor, grader: Grader, lines: Iterable[Asked], name: str, window: int
) -> Iterator[Grade]:
    waiting: deque[Future[Grade]] = deque()
    left, done = iter(lines), 0
    failed: ConfigError | None = None
    while True:
        try:
            if failed is None:
                waiting.extend(pool.submit(grader, asked) for asked in islice(left, window - len(waiting)))
        except ConfigError as error:  # it waits until the lines before it are written
            failed = error
        if not waiting:
            break
        done += 1
        try:
            yield waiting.popleft().result()
        except ValueError:
            raise ConfigError(
                f"{name}:{done}: the target cannot be read as an answer of its kind; mend the target or the kind"
            ) from None
    if failed:
        raise failed


_ASKED = TypeAdapter(Asked)


def _read(lines: Iterable[bytes], name: str) -> Iterator[Asked]:
    for number, line in enumerate(lines, start=1):
        try:
            yield _ASKED.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "line"
            raise ConfigError(f"{name}:{number}: not a line to grade: {where}: {first['msg']}") from None
