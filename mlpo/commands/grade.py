"""`mlpo grade`: texts against targets, by the grader that trains and evaluates (JSONL in, JSONL out, in order)."""

from __future__ import annotations

import json
import threading
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TextIO

from pydantic import TypeAdapter, ValidationError

from mlpo.config import ConfigError
from mlpo.equivalence import ComparisonTimeoutError, EquivalenceWorker, GradingError
from mlpo.method.answer_forms import canonical_form
from mlpo.method.answers import is_correct, parse_plain
from mlpo.types import AnswerKind, Problem

NOT_GRADED = "not graded"
LINES_UNDER_WAY = 256
"""Lines in memory for each worker: what bounds it, however long the input is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One line to grade."""

    kind: AnswerKind
    target: str
    text: str | None
    """What a model said: the last `<answer>`, the last boxed answer, "the answer is ...", or a short or last line."""
    choices: tuple[str, ...] = ()
    """The options' texts, for kind choice."""
    aliases: tuple[str, ...] = ()
    """Other targets that are also right."""


class Grade(NamedTuple):
    """One line's result."""

    answer: str | None
    """As read from the text; null where it holds none, or several."""
    score: int | None
    """1 or 0; null where it is not known."""
    reason: str
    """correct, different, no answer; timed out; or "not graded" and why."""


class Grader:
    """Grades one line at a time; each thread compares expressions in a killable process of its own."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._processes = ExitStack()

    def line(self, line: bytes) -> Grade:
        """The grade of one line of JSON; what cannot be graded has no score."""
        if not line.strip():
            return _not_graded("the line is blank")
        try:
            return self(_ASKED.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "line"
            return _not_graded(f"{where}: {first['msg']}")
        except (ValueError, GradingError) as error:  # a target that is none, or a comparison that ends its process
            return _not_graded(str(error))

    def __call__(self, asked: Asked) -> Grade:
        """The grade of one line.

        Raises:
            ValueError: the target cannot be read as its kind.
            GradingError: nothing can be compared.
        """
        problem = Problem("", "grade", "grade", "", asked.target, asked.kind, asked.aliases, asked.choices)
        if not any(canonical_form(target, asked.kind, asked.choices) for target in (asked.target, *asked.aliases)):
            raise ValueError(
                f"the target {asked.target!r} cannot be read as an answer of kind {asked.kind}; mend one of them"
            )
        answer = None if asked.text is None else parse_plain(asked.text, asked.kind, asked.choices)
        if answer is None:
            return Grade(None, 0, "no answer")
        worker = self._worker()
        cut_off = worker.num_timeouts

        def equivalent(a: str, b: str) -> bool:
            try:
                return a == b or worker(a, b)
            except ComparisonTimeoutError:  # an alias may still be equal
                return False

        if is_correct(answer, problem, equivalent=equivalent):
            return Grade(answer, 1, "correct")
        return Grade(answer, None, "timed out") if worker.num_timeouts > cut_off else Grade(answer, 0, "different")

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def _worker(self) -> EquivalenceWorker:
        if not hasattr(self._own, "worker"):
            self._own.worker = EquivalenceWorker()
            self._processes.callback(self._own.worker.close)
        worker: EquivalenceWorker = self._own.worker
        return worker


def run(lines: Iterable[bytes], out: TextIO, *, name: str, workers: int) -> int:
    """Grade every line, with so many processes that compare expressions; what is done is written as it goes.

    Returns:
        How many lines were not graded; the reason of each is in its place.

    Raises:
        ConfigError: there are lines, and none could be graded.
    """
    grader = Grader()
    done = not_graded = 0
    with ThreadPoolExecutor(workers) as pool:
        try:
            for grade in _in_order(pool, grader, _without_mark(lines), workers * LINES_UNDER_WAY):
                out.write(_written(grade, out))
                done += 1
                not_graded += grade.reason.startswith(NOT_GRADED)
        finally:
            pool.shutdown(cancel_futures=True)
            grader.close()
    if done and not_graded == done:
        raise ConfigError(f"{name}: none of its {done} lines could be graded; each one's reason is in its place")
    return not_graded


def _in_order(pool: ThreadPoolExecutor, grader: Grader, lines: Iterable[bytes], window: int) -> Iterator[Grade]:
    waiting: deque[Future[Grade]] = deque()
    left = iter(lines)
    while True:
        waiting.extend(pool.submit(grader.line, line) for line in islice(left, window - len(waiting)))
        if not waiting:
            return
        yield waiting.popleft().result()


def _without_mark(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Without the byte order mark that some editors begin a file with."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix(BOM_UTF8)


def _written(grade: Grade, out: TextIO) -> str:
    """One line of JSON, escaped where the output's encoding lacks a character."""
    line = json.dumps(grade._asdict(), ensure_ascii=False) + "\n"
    try:
        line.encode(getattr(out, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(grade._asdict()) + "\n"
    return line


def _not_graded(why: str) -> Grade:
    return Grade(None, None, f"{NOT_GRADED}: {why}")


_ASKED = TypeAdapter(Asked)
