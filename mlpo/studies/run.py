"""`mlpo study <name>`: configs/studies/<name>.yaml, run in worktrees and told as tables in docs/studies."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from mlpo.files import write_json_atomic, write_lines_atomic
from mlpo.report.table import WIDTH_OF_A_LOG
from mlpo.studies.costs import Cost
from mlpo.studies.folders import StudyFolders
from mlpo.studies.jobs import StudyJobs
from mlpo.studies.plan import EVALUATE, MLPO, SFT, Run, RunId, StudyPlan, check_comparable, plan_study
from mlpo.studies.progress import StudyProgress
from mlpo.studies.results import comparison_rows, read_metrics, read_runs, variant_rows
from mlpo.studies.spec import Study, load_study
from mlpo.studies.tables import StudyTables, print_study, study_csv, study_json, study_markdown

RESULTS = Path("docs/studies")
TRAINS = {SFT: "warm start", MLPO: "leader"}


class StudyEnd(NamedTuple):
    """How a study ended."""

    exit_code: int
    """0 if every run came to its end, else that of the first that failed."""
    tables: StudyTables | None
    """What was found; None of a dry run, or if nothing finished."""


def run(name: str, *, jobs: int = 1, dry_run: bool = False, root: Path | None = None) -> StudyEnd:
    """Run what is missing of a study, then print its tables and write them to docs/studies.

    Args:
        jobs: steps at a time, each a process with its share of the cores.
        dry_run: only list the runs.
        root: the checkout; None is the current folder.
    Raises:
        ConfigError: there is no such study, it is illegal, or this is no git checkout.
    """
    root = (root or Path.cwd()).resolve()
    study = load_study(root, name)
    plan = plan_study(root, study)
    check_comparable(plan, study)
    folders = StudyFolders(root, plan.runs)
    if dry_run:
        _print_plan(study, plan, folders, jobs)
        return StudyEnd(0, None)
    missing = [step for step in plan.steps if not folders.is_done(*step.id)]
    print(f"study {name}: {len(plan.runs)} runs, {len(missing)} of {len(plan.steps)} steps to do, {jobs} at a time")
    work = StudyJobs(name, plan, folders, jobs=jobs, progress=StudyProgress(missing, jobs=jobs))
    work.run()
    finished = [run.id for run in plan.runs if folders.is_done(run.id, EVALUATE)]
    if not finished:
        print(*_reasons(work.failed), f"study {name}: no run came to its end", sep="\n")
        return StudyEnd(work.exit_code, None)
    tables = _tables(name, study, plan, folders, finished, work.failed, jobs)
    print_study(tables)
    written = write_results(root, tables)
    print(f"written: {', '.join(str(path.relative_to(root)) for path in written)}")
    return StudyEnd(work.exit_code, tables)


def write_results(root: Path, tables: StudyTables) -> list[Path]:
    """Write docs/studies/<name>.md, .csv and .json."""
    page, table, data = (root / RESULTS / f"{tables.name}.{kind}" for kind in ("md", "csv", "json"))
    write_lines_atomic(page, study_markdown(tables).encode().splitlines())
    write_lines_atomic(table, study_csv(tables).encode().splitlines())
    write_json_atomic(data, study_json(tables))
    return [page, table, data]


def _tables(
    name: str,
    study: Study,
    plan: StudyPlan,
    folders: StudyFolders,
    finished: Sequence[RunId],
    failed: dict[RunId, str],
    jobs: int,
) -> StudyTables:
    scores, metrics = read_runs(study, folders, finished), read_metrics(study, folders, finished)
    records = [folders.records[run] for run in finished]
    commits = sorted({record.commit[:10] + (" with changes" if record.dirty else "") for record in records})
    return StudyTables(
        name=name,
        title=study.title,
        question=study.question,
        command=f"mlpo study {name}" + (f" --jobs {jobs}" if jobs > 1 else ""),
        commit=", ".join(commits),
        device=f"{os.cpu_count()} cores ({platform.machine()})",
        confidence=plan.runs[0].params.evaluate.confidence,
        minutes=sum(sum(record.seconds.values()) for record in records) / 60,
        variants=variant_rows(study, plan, scores, metrics, failed),
        comparisons=comparison_rows(study, plan, scores),
    )


def _reasons(failed: dict[RunId, str]) -> list[str]:
    return [f"{run}: {reason}" for run, reason in failed.items()]


def _print_plan(study: Study, plan: StudyPlan, folders: StudyFolders, jobs: int) -> None:
    """Every run: what it trains or takes from another, what it asks, and about how long it takes."""
    table = Table("run", "trains", "leader of", title=f"{study.title}: {study.question}")
    for header in ("completions", "examples", "minutes"):
        table.add_column(header, justify="right")
    table.add_column("state")
    total, missing = Cost(), Cost()
    for each in plan.runs:
        steps = plan.steps_of(each.id)
        left = [step for step in steps if not folders.is_done(*step.id)]
        cost = sum((step.cost for step in steps), Cost())
        total, missing = total + cost, missing + sum((step.cost for step in left), Cost())
        trains = ", ".join(TRAINS[step.id.part] for step in steps if step.id.part in TRAINS)
        state = "finished" if not left else f"{len(left)} of {len(steps)} steps to do"
        table.add_row(str(each.id), trains or "-", _leader(each), *_amounts(cost), state)
    table.add_section()
    table.add_row("all", "", "", *_amounts(total), "")
    console = Console(width=None) if os.isatty(1) else Console(width=max(WIDTH_OF_A_LOG, 120))
    console.print(table)
    console.print(
        f"To do: {missing.completions:,} completions; about {missing.seconds / 60:.0f} core minutes with the embedded "
        f"model, so {missing.seconds / 60 / jobs:.0f} minutes or more with --jobs {jobs}. What runs share counts once."
    )


def _leader(each: Run) -> str:
    return str(each.leader) if each.leader else "itself"


def _amounts(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.completions:,}", f"{cost.examples:,}" if cost.examples else "-", f"{cost.seconds / 60:.0f}"
