"""A stage's run: who its parent is, what it records, and that it always ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mlpo.tracking.connect import Connection
from mlpo.tracking.pipeline_run import PROCESS, close_abandoned
from mlpo.tracking.provenance import content_md5
from mlpo.tracking.register import run_that_wrote
from mlpo.tracking.stage_run import StageRun, stage_run

PARAMS = {"seed": 3, "team": {"geo": {"model": "embedded"}}, "train_sft": {"epochs": 1}, "evaluate": {"num_traces": 8}}

CHILD = """
import os, signal, sys, time
from mlpo.tracking.stage_run import stage_run
with stage_run("train_sft", {"seed": 3}) as run:
    print(run.run_id, run.parent_id, flush=True)
    time.sleep(60)
"""


def read(run: StageRun, run_id: str | None = None) -> Run:
    return run.connection.client.get_run(run_id or run.run_id)


def cut_after_one_step(run: StageRun) -> None:
    run.log({"loss": 2.0}, step=0)
    raise OSError("cut")


def delete_and_fail(run: StageRun) -> None:
    run.connection.client.delete_run(run.run_id)  # a deleted run takes no more tags
    raise ValueError("bad row 7")


def delete_and_log(run: StageRun) -> None:
    run.connection.client.delete_run(run.run_id)
    run.log({"loss": 1.0})


def status(connection: Connection, run_id: str) -> str:
    return str(connection.client.get_run(run_id).info.status)


def test_a_run_that_ends_well_is_finished_and_so_is_its_pipeline(connection: Connection) -> None:
    with stage_run("train_sft", PARAMS) as run:
        assert status(connection, run.run_id) == status(connection, run.parent_id) == "RUNNING"
    assert status(connection, run.run_id) == status(connection, run.parent_id) == "FINISHED"


def test_a_run_that_raises_is_failed_with_its_reason_and_the_error_goes_on(connection: Connection) -> None:
    with pytest.raises(ValueError, match="bad row 7"), stage_run("train_sft", PARAMS) as run:
        raise ValueError("bad row 7")
    assert read(run).data.tags["mlpo.error"] == "ValueError: bad row 7"
    assert status(connection, run.run_id) == status(connection, run.parent_id) == "FAILED"


@pytest.mark.parametrize("missing", ["inputs", "outputs"])
def test_an_input_or_output_that_is_missing_leaves_a_failed_run_with_its_name(
    connection: Connection, missing: str
) -> None:
    paths: dict[str, Any] = {missing: [Path("none")]}
    with pytest.raises(FileNotFoundError, match="none"), stage_run("train_sft", PARAMS, **paths):
        pass
    found = connection.client.search_runs([connection.experiment_id])
    assert [run.info.status for run in found] == ["FAILED", "FAILED"]  # the stage's and its pipeline's
    [error] = [run.data.tags["mlpo.error"] for run in found if "mlpo.error" in run.data.tags]
    assert error.startswith("FileNotFoundError: ")


def test_a_signal_while_the_run_is_opened_ends_it_as_killed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_stop() -> str:
        signal.raise_signal(signal.SIGTERM)
        return ""

    monkeypatch.setattr("mlpo.tracking.stage_run.this_process", told_to_stop)
    with pytest.raises(SystemExit), stage_run("train_sft", PARAMS):
        raise AssertionError("it goes on though it was told to stop")
    found = connection.client.search_runs([connection.experiment_id])
    assert [run.info.status for run in found] == ["KILLED", "KILLED"]


def test_a_store_that_cannot_be_written_does_not_hide_the_stages_own_error(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="bad row 7"), stage_run("train_sft", PARAMS) as run:
        delete_and_fail(run)
    assert "could not record that the run is FAILED" in caplog.text


def test_each_record_that_the_store_does_not_take_is_a_connection_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://127.0.0.1:9"  # the discard port: nothing listens
    run = StageRun("0" * 32, "1" * 32, Connection(MlflowClient(uri), "1", uri))
    records: list[Callable[[], None]] = [
        lambda: run.log({"loss": 1.0}),
        lambda: run.log_result({"accuracy": 1.0}),
        lambda: run.log_artifact(tmp_path),
        lambda: run.tag({"a": "b"}),
    ]
    for record in records:
        with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:9 does not answer"):
            record()


def test_what_the_store_refuses_is_no_connection_error(connection: Connection) -> None:
    with pytest.raises(MlflowException, match="deleted"), stage_run("train_sft", PARAMS) as run:
        delete_and_log(run)


@pytest.mark.slow
def test_a_server_that_goes_while_a_stage_runs_or_before_it_ends_is_a_connection_error(
    stop_server: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    def outage() -> None:
        run.log({"loss": 2.0})
        with pytest.raises(ConnectionError, match="does not answer"), stage_run("evaluate", PARAMS):
            stop_server()
        assert caplog.text == ""
        run.connection.client.get_run(run.run_id)  # what a stage asks itself

    with pytest.raises(ConnectionError, match="does not answer"), stage_run("train_sft", PARAMS) as run:
        outage()
    assert "could not record that the run is FAILED" in caplog.text


def test_leaving_with_exit_code_0_is_an_end_and_another_code_a_failure(connection: Connection) -> None:
    for code, wanted in ((0, "FINISHED"), (75, "FAILED")):
        with pytest.raises(SystemExit), stage_run("train_sft", PARAMS) as run:
            raise SystemExit(code)
        assert status(connection, run.run_id) == wanted


def test_a_keyboard_interrupt_is_killed_not_failed(connection: Connection) -> None:
    with pytest.raises(KeyboardInterrupt), stage_run("train_sft", PARAMS) as run:
        signal.raise_signal(signal.SIGINT)
    assert status(connection, run.run_id) == status(connection, run.parent_id) == "KILLED"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stages_of_equal_parameters_and_commit_share_one_pipeline_and_others_do_not(connection: Connection) -> None:
    with stage_run("train_sft", PARAMS) as first, stage_run("train_mlpo", PARAMS) as second:
        pass
    with stage_run("train_sft", {**PARAMS, "seed": 4}) as other:
        pass
    assert first.parent_id == second.parent_id != other.parent_id
    assert first.run_id != second.run_id


def test_a_pipeline_runs_until_its_last_stage_ends_and_says_the_worst(connection: Connection) -> None:
    with stage_run("propose@geo", PARAMS) as outer:
        with pytest.raises(OSError, match="full"), stage_run("propose@number", PARAMS):
            raise OSError("disk full")
        assert status(connection, outer.parent_id) == "RUNNING"
    assert status(connection, outer.parent_id) == "FAILED"
    with stage_run("propose@number", PARAMS):  # tried again, well
        pass
    assert status(connection, outer.parent_id) == "FINISHED"


def test_resuming_by_id_goes_on_in_the_same_run(connection: Connection) -> None:
    with pytest.raises(OSError, match="cut"), stage_run("train_sft", PARAMS) as first:
        cut_after_one_step(first)
    with stage_run("train_sft", PARAMS, resume_id=first.run_id) as second:
        second.log({"loss": 1.0}, step=1)
    assert (second.run_id, second.parent_id) == (first.run_id, first.parent_id)
    history = connection.client.get_metric_history(first.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(0, 2.0), (1, 1.0)]
    assert status(connection, first.run_id) == "FINISHED"


def test_a_resumed_run_bears_its_new_process_before_it_is_running(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="cut"), stage_run("train_sft", PARAMS) as first:
        cut_after_one_step(first)
    first.tag({PROCESS: f"{socket.gethostname()} 999999999 0"})  # no process has so high a number
    update_run, abandoned = MlflowClient.update_run, list[str]()

    def seen_by_a_neighbour(client: MlflowClient, run_id: str, status: str) -> None:
        update_run(client, run_id, status)
        abandoned.extend(close_abandoned(connection))

    monkeypatch.setattr(MlflowClient, "update_run", seen_by_a_neighbour)
    with stage_run("train_sft", PARAMS, resume_id=first.run_id):
        assert status(connection, first.run_id) == "RUNNING"
    assert abandoned == []


def test_resuming_a_run_that_was_deleted_opens_a_new_one(connection: Connection) -> None:
    with stage_run("train_sft", PARAMS) as gone:
        pass
    connection.client.delete_run(gone.run_id)
    with stage_run("train_sft", PARAMS, resume_id=gone.run_id) as fresh:
        pass
    with stage_run("train_sft", PARAMS, resume_id="0" * 32) as unknown:
        pass
    assert len({gone.run_id, fresh.run_id, unknown.run_id}) == 3


def test_a_run_shows_its_own_section_and_the_shared_ones(connection: Connection) -> None:
    with stage_run("train_sft", PARAMS) as run:
        pass
    assert read(run).data.params == {"seed": "3", "team.geo.model": "embedded", "train_sft.epochs": "1"}
    assert read(run, run.parent_id).data.params["evaluate.num_traces"] == "8"


def test_a_parameter_too_long_for_mlflow_becomes_an_artifact(connection: Connection) -> None:
    prompt = "x" * 6001
    with stage_run("train_sft", {"leader": {"system": prompt}}) as run:
        pass
    assert read(run).data.params["leader.system"].startswith("sha256:")
    [artifact] = connection.client.list_artifacts(run.run_id, "params")
    local = connection.client.download_artifacts(run.run_id, artifact.path)
    assert Path(local).read_text(encoding="utf-8") == prompt


def test_inputs_and_outputs_are_recorded_by_dvc_hash(checkout: Path, connection: Connection) -> None:
    problems, leader = Path("data/problems"), Path("data/leaders/sft")
    problems.mkdir(parents=True)
    (problems / "train.jsonl").write_text("{}\n", encoding="utf-8")
    with stage_run("train_sft", PARAMS, inputs=[problems], outputs=[leader]) as run:
        leader.mkdir(parents=True)
        (leader / "config.json").write_text("{}", encoding="utf-8")
    [dataset] = [i.dataset for i in read(run).inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == ("data/problems", content_md5(problems))
    assert read(run).data.tags["mlpo.output.data/leaders/sft"] == content_md5(leader)


def test_what_is_recorded_is_what_lies_there_and_not_what_dvc_lock_remembers(
    checkout: Path, connection: Connection
) -> None:
    problems, leader = Path("data/problems/train.jsonl"), Path("data/leaders/sft/model.safetensors")
    outs = [{"path": path.as_posix(), "md5": "0" * 32, "size": 4} for path in (problems, leader.parent)]
    (checkout / "dvc.lock").write_text(yaml.safe_dump({"stages": {"x": {"outs": outs}}}), encoding="utf-8")
    problems.parent.mkdir(parents=True)
    problems.write_text("{}{}", encoding="utf-8")  # by a stage that ran without DVC
    with stage_run("train_sft", PARAMS, inputs=[problems], outputs=[leader.parent]) as run:
        leader.parent.mkdir(parents=True)
        leader.write_text("four", encoding="utf-8")  # DVC writes its lock only when the stage has ended
    [dataset] = [i.dataset for i in read(run).inputs.dataset_inputs]
    assert dataset.digest == content_md5(problems)
    assert read(run).data.tags["mlpo.output.data/leaders/sft"] == content_md5(leader.parent)
    assert run_that_wrote(connection, "train_sft", leader.parent) == run.run_id


def test_commit_dirtiness_and_flow_run_are_tags(
    checkout: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "flow-1")
    with stage_run("train_sft", PARAMS) as clean:
        pass
    (checkout / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    with stage_run("train_sft", PARAMS) as dirty:
        pass
    assert read(clean).data.tags["prefect.flow_run_id"] == "flow-1"
    assert len(read(clean).data.tags["mlflow.source.git.commit"]) == 40
    assert (read(clean).data.tags["mlpo.git.dirty"], read(dirty).data.tags["mlpo.git.dirty"]) == ("false", "true")


def test_a_run_of_a_study_and_its_pipeline_bear_study_and_variant(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPO_STUDY", "default")
    monkeypatch.setenv("MLPO_VARIANT", "no_sft")
    with stage_run("evaluate", PARAMS) as run:
        pass
    for run_id in (run.run_id, run.parent_id):
        tags = read(run, run_id).data.tags
        assert (tags["mlpo.study"], tags["mlpo.variant"]) == ("default", "no_sft")


def test_metrics_artifacts_and_results_land_on_the_right_runs(checkout: Path, connection: Connection) -> None:
    (checkout / "rollouts.txt").write_text("y", encoding="utf-8")
    with stage_run("train_mlpo", PARAMS) as run:
        run.log({"reward/correct": 0.5, "share@clipped": 1}, step=2)
        run.log_artifact(Path("rollouts.txt"), "rollouts")
        run.log_result({"accuracy": 0.7})
    assert read(run).data.metrics == {"reward/correct": 0.5, "share_clipped": 1.0, "accuracy": 0.7}
    assert read(run, run.parent_id).data.metrics == {"accuracy": 0.7}
    stored = checkout / "mlruns" / "mlpo" / run.run_id / "artifacts" / "rollouts" / "rollouts.txt"
    assert stored.read_text(encoding="utf-8") == "y"


def test_an_outer_run_named_by_mlflow_is_the_parent(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = connection.client.create_run(connection.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", outer)
    with stage_run("train_sft", PARAMS) as run:
        pass
    assert run.parent_id == outer
    assert status(connection, outer) == "RUNNING"  # who opened it ends it


def popen(checkout: Path, code: str = CHILD) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], cwd=checkout, stdout=subprocess.PIPE, text=True)


def opened(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The ids of its run and its pipeline's, once it has opened them."""
    assert process.stdout is not None
    run_id, parent_id = process.stdout.readline().split()
    return run_id, parent_id


@contextmanager
def started(checkout: Path, code: str = CHILD) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A stage in a process of its own, once its run is open; killed if the test leaves it running."""
    with popen(checkout, code) as process:
        yield process, *opened(process)
        process.kill()


@pytest.mark.slow
def test_sigterm_leaves_a_killed_run_and_the_shells_exit_code(checkout: Path, connection: Connection) -> None:
    with started(checkout) as (process, run_id, parent_id):
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert status(connection, run_id) == status(connection, parent_id) == "KILLED"


@pytest.mark.slow
def test_the_handler_from_before_is_called_and_may_end_the_stage_its_own_way(
    checkout: Path, connection: Connection
) -> None:
    graceful = """
import signal
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
import time
from mlpo.tracking.stage_run import stage_run
with stage_run("train_sft", {"seed": 3}) as run:
    print(run.run_id, run.parent_id, flush=True)
    while not stop:
        time.sleep(0.01)
    run.log({"checkpointed": 1})
"""
    with started(checkout, graceful) as (process, run_id, _):
        process.terminate()
        assert process.wait(60) == 0
    assert connection.client.get_run(run_id).data.metrics == {"checkpointed": 1.0}
    assert status(connection, run_id) == "KILLED"


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_closed_by_the_next_stage(checkout: Path, connection: Connection) -> None:
    with started(checkout) as (process, run_id, parent_id):
        process.kill()
    assert status(connection, run_id) == "RUNNING"
    with stage_run("evaluate", {"seed": 9}):
        pass
    assert status(connection, run_id) == status(connection, parent_id) == "KILLED"


@pytest.mark.slow
def test_a_living_run_is_left_alone_by_the_next_stage(checkout: Path, connection: Connection) -> None:
    with started(checkout) as (_, run_id, parent_id):
        with stage_run("evaluate", {"seed": 9}):
            pass
        assert status(connection, run_id) == status(connection, parent_id) == "RUNNING"


def test_a_forked_child_does_not_end_its_parents_run(connection: Connection) -> None:
    with stage_run("train_sft", PARAMS) as run:
        child = os.fork()
        if child == 0:
            try:
                raise SystemExit  # leaves the block as a worker's exit does
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert status(connection, run.run_id) == "RUNNING"


@pytest.mark.slow
def test_two_processes_that_start_together_share_one_pipeline(checkout: Path, connection: Connection) -> None:
    with ExitStack() as stack:
        both = [stack.enter_context(popen(checkout)) for _ in range(2)]
        parents = [opened(process)[1] for process in both]
        for process in both:
            process.kill()
    assert parents[0] == parents[1]
