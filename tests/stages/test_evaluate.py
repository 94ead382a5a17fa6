"""Stage `evaluate`: results, report and costs are written; the results hold no clock and are the same bytes again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlpo.config import Params
from mlpo.evaluation import write_report
from mlpo.evaluation.strategies import strategy_names
from mlpo.inference.scripted import ScriptedModels
from mlpo.layout import METRICS, MLPO_LEADER, PLOTS, REPORT, SFT_LEADER, TIMINGS, TRANSCRIPTS, WORK
from mlpo.method.prompts import leader_text
from mlpo.stages import evaluate, propose
from mlpo.tracking.connect import connect
from mlpo.types import LEADER, Request


def reply(request: Request) -> str:
    """Everybody adds, but the guesser says 11 and the leader alone 13."""
    right = str(int(re.findall(r"(\d+) \+ 1\?", request.messages[-1].content)[-1]) + 1)
    if request.model == LEADER:
        return leader_text("I add.", right if "adder:" in request.messages[-1].content else "13")
    return right if request.model == "adder" else "11"


def outputs() -> dict[str, bytes]:
    files = [METRICS, *PLOTS.iterdir(), *TRANSCRIPTS.iterdir()]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.slow
def test_results_are_written_tracked_and_the_same_again(
    house: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    for agent in params.team:
        propose.run(params, agent, models=ScriptedModels(reply))
    for folder in (SFT_LEADER, MLPO_LEADER):
        folder.mkdir(parents=True)
    evaluate.run(params, models=ScriptedModels(reply))
    first = outputs()

    metrics = json.loads(METRICS.read_text())
    assert metrics["strategies"]["leader"]["accuracy"] == 1.0
    assert metrics["best_single"] == "adder"
    assert set(metrics["strategies"]) == set(strategy_names(params))
    # of 4 problems the leader alone has one: 1 - 1/4
    assert metrics["paired"]["leader_vs_leader_solo"]["difference"] == 0.75
    assert metrics["paired"]["leader_vs_best_single"]["difference"] == 0.0
    assert "MLPO leader + team" in capsys.readouterr().out

    timings = json.loads(TIMINGS.read_text())
    assert set(timings["stages"]) == {"propose@adder", "propose@guesser", "evaluate"}
    assert timings["wall_seconds"] == pytest.approx(sum(t["wall_seconds"] for t in timings["stages"].values()))
    by_strategy = {name: row["model_seconds_per_problem"] for name, row in timings["strategies"].items()}
    assert by_strategy["leader"] > by_strategy["leader_solo"] > 0
    assert b"seconds" not in METRICS.read_bytes()

    client = connect().client
    parent = client.get_run(timings["mlflow_run_id"])
    assert parent.data.metrics["leader.accuracy"] == 1.0
    (run,) = [r for r in client.search_runs([parent.info.experiment_id]) if r.info.run_name == "evaluate"]
    assert run.info.status == "FINISHED"
    logged = {Path(f.path).name for f in client.list_artifacts(run.info.run_id, "report")}
    assert logged == {"metrics.json", "report.html", "plots"}
    pictures = {Path(f.path).name for f in client.list_artifacts(run.info.run_id, "report/plots")}
    assert pictures == {path.name for path in PLOTS.iterdir()}
    assert "accuracy.png" in pictures
    page = REPORT.read_text()
    assert "model seconds" in page
    REPORT.unlink()
    write_report.run()  # `mlpo report`, from what is on the disk
    assert REPORT.read_text() == page
    traces = client.search_traces(locations=[parent.info.experiment_id])
    assert len(traces) == params.evaluate.num_traces

    (WORK / "evaluation.jsonl").unlink()
    evaluate.run(params, models=ScriptedModels(reply))
    assert outputs() == first
