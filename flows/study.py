"""A study as a flow: its variants with each seed, what is finished left alone, and its page as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed
from pydantic import Field

from flows.command import failed, run_word
from flows.failure import report_failure
from flows.process import ends_with_worker
from mlpo.studies.run import RESULTS

Jobs = Annotated[int, Field(ge=1, le=64)]


@flow(name="study", on_failure=[report_failure], on_crashed=[report_failure])
def run_study(study: str, jobs: Jobs = 1) -> State[Any]:
    """Run what is missing of a study, and write its tables to docs/studies.

    Args:
        study: A file in configs/studies, without .yaml.
        jobs: Steps at a time, each with its share of the cores.
    """
    page = Path(RESULTS) / f"{study}.md"
    before = _written(page)
    with ends_with_worker():
        outcome = run_word("study", study, "--jobs", str(jobs))
    if _written(page) != before:  # else nothing finished, and it tells of a study before
        create_markdown_artifact(page.read_text(encoding="utf-8"), key="study", description=f"`{page}`")
    return failed(outcome) if outcome.exit_code else Completed(message=outcome.message)


def _written(page: Path) -> int:
    """When a page was written, in nanoseconds; 0 if it never was."""
    return page.stat().st_mtime_ns if page.exists() else 0
