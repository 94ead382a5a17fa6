"""The flow through a real Prefect server and worker: deployments, retries, refusals, cancellation, worktrees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import httpx
import psutil
import pytest
import yaml

from flows.parameters import StageName
from flows.pipeline import stage_graph
from tests.flows.conftest import ROOT, MakeCheckout, Prefect, eventually, running

KEEPS_SEED = "mkdir -p data/problems; grep ^seed params.yaml > data/problems/seed"
SLEEPS = "echo $$ > pids; sleep 601 & echo $! >> pids; wait"


def test_the_order_is_dvcs_own_graph() -> None:
    graph = stage_graph(ROOT)
    team = yaml.safe_load((ROOT / "params.yaml").read_text())["team"]
    references, agents = ([f"{stage}@{name}" for name in team] for stage in ("reference", "propose"))
    after = ["demonstrate", "train_sft", "headroom", "train_mlpo", "calibrate", "evaluate", "register"]
    assert list(graph) == ["prepare", *references, *agents, *after]
    assert set(graph["propose@alpha"]) == {"prepare", "reference@alpha"}
    assert set(graph["demonstrate"]) == {"prepare", *agents}


def test_the_flows_form_offers_every_stage_of_dvc() -> None:
    assert set(get_args(StageName)) == {stage.partition("@")[0] for stage in stage_graph(ROOT)}


@pytest.mark.slow
def test_a_transient_failure_is_retried_and_what_is_done_is_skipped(
    prefect: Prefect, make_checkout: MakeCheckout
) -> None:
    checkout = make_checkout(cmd=f"test -e tried || {{ touch tried; exit 75; }}; {KEEPS_SEED}")
    prefect.deploy(checkout, "prepare")
    first = prefect.start("prepare")
    assert prefect.end(first)[0] == "COMPLETED"
    (task_run,) = prefect.task_runs(first)
    assert (task_run["name"], task_run["run_count"]) == ("prepare", 2)
    assert (checkout / "data/problems/seed").read_text() == "seed: 0\n"
    second = prefect.start("prepare")
    assert prefect.end(second) == ("COMPLETED", f"0 of 1 stages ran, the others were up to date; results in {checkout}")
    (task_run,) = prefect.task_runs(second)
    assert (task_run["state"]["name"], task_run["state"]["message"]) == ("Skipped", "up to date")
    eventually(lambda: "skipped: up to date" in prefect.log(second))  # log lines arrive in batches


@pytest.mark.slow
def test_a_parameter_error_is_not_retried_and_its_line_is_the_runs_message(
    prefect: Prefect, make_checkout: MakeCheckout
) -> None:
    says = "echo mlpo: params.yaml: no such model; exit 2"
    checkout = make_checkout(cmd=f"test -e tried || {{ touch tried; exit 75; }}; {says}")
    prefect.deploy(checkout, "prepare")
    run_id = prefect.start("prepare")
    assert prefect.end(run_id) == ("FAILED", "stage prepare: exit code 2: mlpo: params.yaml: no such model")
    assert [task_run["run_count"] for task_run in prefect.task_runs(run_id)] == [2]  # 75 is tried again, 2 is not
    (failure,) = eventually(lambda: artifacts(prefect, run_id, "failure"))
    assert "| exit code | 2 |\n| tries | 2 |" in failure["data"]


@pytest.mark.slow
def test_a_progress_bar_that_somebody_deletes_ends_no_stage(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout = make_checkout(
        cmd=f"touch begun; until test -e go; do sleep 0.1; done; echo 'x: 1 of 2 steps'; {KEEPS_SEED}"
    )
    prefect.deploy(checkout, "prepare")
    run_id = prefect.start("prepare")
    eventually((checkout / "begun").exists)
    try:
        (bar,) = eventually(lambda: artifacts(prefect, run_id, "pipeline"))
        prefect.delete(f"/artifacts/{bar['id']}")
    finally:
        (checkout / "go").touch()  # else the stage waits for ever, beside the tests that follow
    assert prefect.end(run_id)[0] == "COMPLETED"
    eventually(lambda: [line for line in prefect.log(run_id) if "can't be drawn" in line and "404" in line])


TRAINS = "from mlpo.training.progress import Meter; Meter('train_mlpo', 4).step(1, 'reward 0.5')"


@pytest.mark.slow
def test_the_bar_moves_with_the_steps_that_a_training_prints(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    waits = "until test -e go; do sleep 0.1; done"
    checkout = make_checkout(cmd=f'{sys.executable} -c "{TRAINS}"; {waits}; {KEEPS_SEED}')
    prefect.deploy(checkout, "prepare")
    run_id = prefect.start("prepare")
    try:
        # a quarter of the one stage that this run has
        eventually(lambda: [bar for bar in artifacts(prefect, run_id, "pipeline") if float(bar["data"]) == 25.0])
    finally:
        (checkout / "go").touch()
    assert prefect.end(run_id)[0] == "COMPLETED"


def artifacts(prefect: Prefect, run_id: str, key: str) -> list[dict[str, Any]]:
    wanted = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}
    found: list[dict[str, Any]] = prefect.post("/artifacts/filter", artifacts=wanted)
    return found


@pytest.mark.slow
def test_unknown_and_illegal_parameters_are_refused_before_a_run_exists(
    prefect: Prefect, make_checkout: MakeCheckout
) -> None:
    prefect.deploy(make_checkout(cmd=KEEPS_SEED), "prepare")
    for overrides in ({"train_mlpo": {"step": 2}}, {"train_mlpo": {"steps": -1}}, {"unknown": 1}):
        with pytest.raises(httpx.HTTPStatusError, match=r"4\d\d"):
            prefect.start("prepare", overrides=overrides)
    # Prefect's server lets an unknown name of the flow's own through; the run then ends before anything is done.
    run_id = prefect.start("prepare", sead=1)
    assert prefect.end(run_id)[0] in {"FAILED", "CRASHED"}
    assert prefect.task_runs(run_id) == []


@pytest.mark.slow
def test_two_runs_at_once_with_other_parameters_end_right_and_leave_the_checkout_clean(
    prefect: Prefect, make_checkout: MakeCheckout, tmp_path: Path
) -> None:
    checkout = make_checkout(cmd=f"{KEEPS_SEED}; sleep 3")
    whole_set = tmp_path / "whole-set.yaml"
    whole_set.write_text((ROOT / "configs/gpu-small.yaml").read_text().replace("seed: 0", "seed: 2"))
    prefect.deploy(checkout, "prepare")
    run_ids = [prefect.start("prepare", overrides={"seed": 1}), prefect.start("prepare", params=str(whole_set))]
    messages = [prefect.end(run_id)[1] for run_id in run_ids]
    folders = [Path(message.partition("results in ")[2]) for message in messages]
    assert [(folder / "data/problems/seed").read_text() for folder in folders] == ["seed: 1\n", "seed: 2\n"]
    assert not (checkout / "data/problems").exists()
    status = subprocess.run(("git", "status", "--short"), cwd=checkout, capture_output=True, text=True, check=True)
    assert status.stdout == ""


@pytest.mark.slow
def test_cancelling_a_run_ends_the_whole_process_group_of_its_stage(
    prefect: Prefect, make_checkout: MakeCheckout
) -> None:
    checkout = make_checkout(cmd=SLEEPS)
    prefect.deploy(checkout, "prepare")
    run_id = prefect.start("prepare")
    pids = eventually(lambda: pids_of(checkout))
    prefect.post(f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING"}, force=False)
    assert prefect.end(run_id)[0] == "CANCELLED"
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), 60)


@pytest.mark.slow
@pytest.mark.parametrize(("signal_sent", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_in_a_terminal_that_is_stopped_leaves_no_process_behind(
    signal_sent: signal.Signals, exit_code: int, prefect_home: Path, make_checkout: MakeCheckout, tmp_path: Path
) -> None:
    # With Prefect's temporary server, as `make run` has it. A terminal sends Ctrl-C to its whole foreground group.
    checkout = make_checkout(cmd=SLEEPS)
    env = os.environ | {"PREFECT_HOME": str(prefect_home)}
    command = (sys.executable, "-m", "mlpo.cli", "run")
    with running(*command, cwd=checkout, env=env, log=tmp_path / "log") as process:
        pids = eventually(lambda: pids_of(checkout))
        started = psutil.Process(process.pid).children(recursive=True)
        assert set(pids) <= {each.pid for each in started}
        os.killpg(process.pid, signal_sent)
        assert process.wait(180) == exit_code
    assert "Finished in state Crashed" in (tmp_path / "log").read_text()  # Prefect knows how it ended
    eventually(lambda: not any(each.is_running() for each in started), 60)


def pids_of(checkout: Path) -> list[int]:
    written = (checkout / "pids").read_text().split() if (checkout / "pids").exists() else []
    return [int(pid) for pid in written] if len(written) == 2 else []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"overrides": {"rounds": {"num_rounds": 0}}}, "overrides.rounds.num_rounds"),  # Prefect's own check
        (
            {"overrides": {"prepare": {"families": ["plural"]}}},
            "shots name families that prepare.families does not hold",
        ),
    ],
)
def test_a_mistake_in_a_flows_parameters_is_one_line_and_exit_code_2(
    parameters: dict[str, Any], words: str, prefect: Prefect, make_checkout: MakeCheckout
) -> None:
    checkout = make_checkout(cmd=KEEPS_SEED)
    command = [sys.executable, "-m", "flows.pipeline", json.dumps(parameters)]
    done = subprocess.run(
        command, cwd=checkout, env=prefect.env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2
    # on a busy machine Prefect's own thread may still say that it is sending events
    said = [line for line in done.stderr.splitlines() if "EventsWorker" not in line]
    assert said[-1].startswith("mlpo: ")
    assert words in said[-1]
