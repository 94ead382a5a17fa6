"""`mlpo report`: the page and its plots again, from what `evaluate` left (metrics, transcripts -> data/report)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlpo import report
from mlpo.config import ConfigError
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.metrics_file import read_metrics
from mlpo.files import replace_file
from mlpo.layout import METRICS, MLPO_CURVE, PLOTS, REPORT, SFT_CURVE, TEST_PROBLEMS, TIMINGS, transcripts_of
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.store import read_jsonl
from mlpo.types import LEADER, Problem, Transcript

MAX_CASES = 400
"""Problems whose transcripts are read for the page; it takes as many as fit."""


def run() -> None:
    """Make the page and the plots again.

    Raises:
        ConfigError: nothing was evaluated here, or by an older mlpo, or transcripts are of other problems.
    """
    metrics = read_metrics()
    graded = {name: _graded(name) for name in metrics["strategies"]}
    write_plots(metrics)
    write_page(metrics, graded)
    print(f"{REPORT}: open it in a browser; {PLOTS} holds its plots")


def write_plots(metrics: Mapping[str, Any]) -> None:
    """Draw data/report/plots: the same results, the same bytes."""
    report.write_plots(_plots(metrics), PLOTS)


def write_page(metrics: Mapping[str, Any], graded: Mapping[str, Sequence[Graded]]) -> None:
    """Write data/report/report.html, with the seconds of timings.json if there is one.

    Args:
        graded: every strategy's transcripts, with or without texts; those that are shown are read from the disk.
    """
    chosen = [g.problem.id for g in report.choose_cases(graded[LEADER], MAX_CASES)]
    browser = report.browser_data({name: with_texts(rows, chosen) for name, rows in graded.items()})
    timings = json.loads(TIMINGS.read_text(encoding="utf-8")) if TIMINGS.is_file() else None
    plots = _plots(metrics)
    html = report.page(metrics, plots=plots, browser=browser, timings=timings, confidence=metrics["confidence"])
    replace_file(REPORT, html.encode())


def with_texts(graded: Sequence[Graded], chosen: Sequence[str]) -> list[Graded]:
    """One strategy's transcripts of the chosen problems, in that order, with the texts that are on the disk."""
    by_problem = {g.problem.id: g for g in graded}
    path = transcripts_of(graded[0].transcript.strategy)
    texts = {t.problem_id: t for t in read_jsonl(path, Transcript) if t.problem_id in by_problem}
    return [replace(by_problem[each], transcript=texts[each]) for each in chosen]


def _plots(metrics: Mapping[str, Any]) -> list[report.Plot]:
    sft_curve, mlpo_curve = report.read_curve(SFT_CURVE), report.read_curve(MLPO_CURVE)
    return report.plots(metrics, sft_curve=sft_curve, mlpo_curve=mlpo_curve, confidence=metrics["confidence"])


def _graded(strategy: str) -> list[Graded]:
    path = transcripts_of(strategy)
    if not path.is_file():
        raise ConfigError(f"{path}: no transcripts, though {METRICS} names {strategy}; run `mlpo evaluate` again")
    problems = {problem.id: problem for problem in read_jsonl(TEST_PROBLEMS, Problem)}
    transcripts = list(read_jsonl(path, Transcript))
    if {t.problem_id for t in transcripts} != problems.keys():
        raise ConfigError(f"{path}: not the problems of {TEST_PROBLEMS}; run `mlpo evaluate` again")
    return [grade(t, problems[t.problem_id], equivalent=is_equivalent) for t in transcripts]
