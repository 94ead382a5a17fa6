"""The flow: DVC's own graph as Prefect tasks, in topological order, one at a time."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

from prefect import State, flow
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
)
from prefect.exceptions import ParameterTypeError
from prefect.states import Completed, Failed
from pydantic import Field

from flows.failure import report_failure
from flows.parameters import Overrides, StageName
from flows.process import ends_with_parent, ends_with_worker
from flows.stage import Share, StageFailedError, run_stage
from mlpo.config import ConfigError
from mlpo.config.overrides import merge
from mlpo.layout import METRICS, PARAMS, PLOTS, TIMINGS
from mlpo.processes.worktree import checkout_for
from mlpo.report.table import difference_cells, print_table, strategy_cells

Seed = Annotated[int, Field(ge=0, lt=2**31)]


@flow(name="pipeline", on_failure=[report_failure], on_crashed=[report_failure])
def pipeline(
    seed: Seed | None = None,
    overrides: Overrides | None = None,
    stages: list[StageName] | None = None,
    params: str = str(PARAMS),
) -> State[Any]:
    """Run every stage that is not up to date: problems, proposals, warm start, MLPO, evaluation, registration.

    Args:
        seed: Every random choice follows from it. Empty: as in the parameters.
        overrides: What differs from the parameters. Such a run works in a worktree and leaves the checkout alone.
        stages: Only these stages, their inputs as they are. Empty: all.
        params: A whole set of parameters instead of params.yaml, such as configs/gpu-small.yaml; in a worktree too.
    """
    changes = merge(overrides or {}, {} if seed is None else {"seed": seed})
    try:
        with ends_with_worker(), checkout_for(Path.cwd(), changes, Path(params)) as folder:
            return _bring_up_to_date(folder, stages)
    except ConfigError as error:
        return Failed(message=str(error), data=error)


def stage_graph(folder: Path) -> dict[str, list[str]]:
    """The stages of dvc.yaml, in an order in which each can run -> the stages it needs.

    Without stage `code`, which runs before each of them (`flows.stage.repro`).
    """
    import networkx
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        graph = repo.index.graph  # edges lead from a stage to what it needs
        written = {stage: place for place, stage in enumerate(repo.index.stages)}
        order = networkx.lexicographical_topological_sort(graph.reverse(), key=written.__getitem__)
        needs = {stage.name: [need.name for need in graph.successors(stage)] for stage in order}
    return {name: [need for need in found if need != "code"] for name, found in needs.items() if name != "code"}


def _bring_up_to_date(folder: Path, only: list[StageName] | None) -> State[Any]:
    graph = stage_graph(folder)
    if only:
        graph = {stage: needs for stage, needs in graph.items() if stage.partition("@")[0] in only}
    progress = cast(UUID, create_progress_artifact(0.0, key="pipeline", description=f"{len(graph)} stages in {folder}"))
    states: dict[str, State[Any]] = {}
    for stage, needs in graph.items():
        waits = [states[need] for need in needs if need in states]
        share = Share(progress, 100 * len(states) / len(graph), 100 / len(graph))
        states[stage] = run_stage(stage, folder, share, wait_for=waits, return_state=True)
        if not states[stage].is_completed():
            # A new state: Prefect would show a task's own as "1/1 states failed"
            return Failed(message=states[stage].message, data=states[stage].data)
        share.move(1.0, f"{stage}: {states[stage].name}")
    _show_results(folder)
    ran = sum(state.name != "Skipped" for state in states.values())
    rest = ", the others were up to date" if ran < len(states) else ""
    message = f"{ran} of {len(states)} stages ran{rest}; results in {folder}"
    return Completed(message=message, data=str(folder))


def _show_results(folder: Path) -> None:
    """The report's two tables and its plots as artifacts, and a link to the run in MLflow."""
    if metrics := _read(folder / METRICS):
        where = f"`{folder / METRICS}`"
        create_table_artifact(strategy_cells(metrics, metrics["confidence"]), key="results", description=where)
        create_table_artifact(difference_cells(metrics, metrics["confidence"]), key="differences", description=where)
    for plot in sorted((folder / PLOTS).glob("*.png")):
        key = f"plot-{plot.stem.replace('_', '-')}"  # a data URI: the UI needs no server that has the file
        data = base64.b64encode(plot.read_bytes()).decode()
        create_image_artifact(f"data:image/png;base64,{data}", key=key, description=f"`{plot}`")
    if timings := _read(folder / TIMINGS):
        server = os.environ.get("MLFLOW_TRACKING_URI", "")
        server = server if server.startswith("http") else "http://127.0.0.1:5000"  # where `make mlflow` opens it
        create_link_artifact(f"{server}/#/runs/{timings['mlflow_run_id']}", "The run in MLflow", key="mlflow-run")


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return read


def print_results(folder: Path) -> None:
    """The results as a table on the terminal."""
    if metrics := _read(folder / METRICS):
        strategies = _read(folder / TIMINGS).get("strategies", {})
        seconds = {name: row["model_seconds_per_problem"] for name, row in strategies.items()}
        print_table(metrics, seconds=seconds, confidence=metrics["confidence"])


def main() -> int:
    """`python -m flows.pipeline '{"seed": 1}'`: the flow in this process; a bad end is one line and an exit code."""
    parameters = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    # Prefect sends itself SIGTERM once more when the flow has ended; Python must then exit in order, for the temporary
    # server is ended at exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with ends_with_parent():
            state = pipeline(**parameters, return_state=True)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    ended: Any = state.result(raise_on_failure=False)
    if state.is_completed():
        print_results(Path(ended))
        print(state.message)
        return 0
    print(f"mlpo: {' '.join((state.message or '').split())}", file=sys.stderr)
    if isinstance(ended, StageFailedError):
        return ended.exit_code
    return 2 if isinstance(ended, (ConfigError, ParameterTypeError)) else 1


if __name__ == "__main__":
    sys.exit(main())
