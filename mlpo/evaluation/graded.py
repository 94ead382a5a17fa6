"""A checkout's evaluation, read and graded: its transcripts beside its test problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpo.config import ConfigError
from mlpo.equivalence import is_equivalent
from mlpo.layout import TEST_PROBLEMS, TRANSCRIPTS
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.method.metrics.pooling import Scores
from mlpo.store import read_jsonl
from mlpo.types import Problem, Transcript


def read_scores(checkout: Path) -> dict[str, Scores]:
    """Strategy -> its scores by problem.

    Raises:
        ConfigError: see `read_graded`.
    """
    return scores_of(read_graded(checkout))


def read_graded(checkout: Path) -> dict[str, list[Graded]]:
    """Strategy -> its transcripts, graded.

    Raises:
        ConfigError: there is no evaluation, or its transcripts are of other problems than its test problems.
    """
    files = sorted((checkout / TRANSCRIPTS).glob("*.jsonl"))
    if not files:
        raise ConfigError(f"{checkout / TRANSCRIPTS}: no transcripts; run `mlpo evaluate` there, or name a checkout")
    problems = {problem.id: problem for problem in read_jsonl(checkout / TEST_PROBLEMS, Problem)}
    return dict(_graded(path, problems) for path in files)


def _graded(path: Path, problems: Mapping[str, Problem]) -> tuple[str, list[Graded]]:
    transcripts = list(read_jsonl(path, Transcript))
    if not transcripts or {t.problem_id for t in transcripts} != problems.keys():
        raise ConfigError(f"{path}: not the problems of {TEST_PROBLEMS}; run `mlpo evaluate` there again")
    return transcripts[0].strategy, [grade(t, problems[t.problem_id], equivalent=is_equivalent) for t in transcripts]


def scores_of(graded: Mapping[str, Sequence[Graded]]) -> dict[str, Scores]:
    """Strategy -> problem id -> whether its answer is right."""
    return {name: {g.problem.id: g.correct for g in rows} for name, rows in graded.items()}
