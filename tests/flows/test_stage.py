"""A stage's process: what its exit code becomes, what is logged, and that nothing of it survives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from uuid import uuid4

import psutil
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Failed

from flows.failure import _advice
from flows.process import _lines
from flows.stage import Outcome, Share, StageFailedError, is_transient, repro, run_stage
from mlpo.exit_codes import TRANSIENT, USER_MISTAKE
from mlpo.processes.process_group import end_group
from tests.flows.conftest import ROOT, MakeCheckout, eventually


def failed(exit_code: int) -> StageFailedError:
    return StageFailedError(Outcome("prepare", exit_code, False, "why"))


@pytest.mark.parametrize(("exit_code", "is_retried"), [(75, True), (2, False), (1, False)])
def test_only_an_exit_code_of_75_is_retried(exit_code: int, is_retried: bool) -> None:
    state = Failed(data=failed(exit_code))
    assert is_transient(None, None, state) is is_retried
    assert is_transient(None, None, Failed(data=state)) is is_retried  # as Prefect 3.7 hands it over


def test_a_stage_is_retried_after_the_pauses_that_the_docs_promise_and_the_advice_claims_no_retries() -> None:
    promised = re.search(r"\| 75 \|.*retries a stage after (.*) seconds", (ROOT / "docs/deployments.md").read_text())
    assert promised is not None
    assert [float(number) for number in re.findall(r"\d+", promised[1])] == run_stage.retry_delay_seconds
    assert run_stage.retries == 3
    # the flows `study` and `champion` end so too and retry nothing
    assert "retries" not in _advice(Failed(data=failed(75)))


def test_a_bar_that_can_not_be_drawn_is_told_once_and_ends_no_stage() -> None:
    nobody = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    share = Share(uuid4(), 0, 1)
    with temporary_settings(nobody):
        assert share.show("training begins") == ""
        assert share.show("train: 1 of 2 steps").startswith("the progress bar can't be drawn, the stage goes on: ")
        quiet, share.quiet_until = share.quiet_until, time.monotonic()  # five minutes later
        assert share.show("train: 2 of 2 steps") == ""
        assert share.quiet_until >= quiet


def test_a_stage_that_fails_gives_its_own_exit_code_and_its_last_line(make_checkout: MakeCheckout) -> None:
    folder = make_checkout(cmd="echo mlpo: the server is down; exit 75")
    outcome = repro("prepare", folder, log=lambda _: None)
    assert outcome == Outcome("prepare", 75, False, "stage prepare: exit code 75: mlpo: the server is down")


@pytest.mark.slow
def test_what_did_not_change_is_skipped_and_a_stage_knows_its_flow_run(make_checkout: MakeCheckout) -> None:
    folder = make_checkout(cmd="mkdir -p data/problems; echo $MLPO_FLOW_RUN_ID > data/problems/x")
    lines: list[str] = []
    assert repro("prepare", folder, log=lines.append, flow_run_id="abc") == Outcome("prepare", 0, False, "")
    assert (folder / "data/problems/x").read_text() == "abc\n"
    assert repro("prepare", folder, log=lines.append) == Outcome("prepare", 0, True, "")
    assert not [line for line in lines if "git add" in line]  # DVC's advice is not the stage's log


@pytest.mark.slow
def test_a_second_dvc_on_the_same_files_is_transient_and_says_who_holds_them(make_checkout: MakeCheckout) -> None:
    folder = make_checkout(cmd="touch started; sleep 600")
    first = threading.Thread(target=repro, args=("prepare", folder), kwargs={"log": lambda _: None})
    first.start()
    try:
        eventually((folder / "started").exists)
        outcome = repro("prepare", folder, log=lambda _: None)
    finally:
        (sleeper,) = [p for p in psutil.Process().children(recursive=True) if p.cmdline() == ["sleep", "600"]]
        sleeper.kill()
        first.join(30)
    assert outcome.exit_code == TRANSIENT
    assert "another DVC command (PID " in outcome.message


LOCKED = '{"read": {}, "write": {"data/problems": {"pid": %d, "cmd": "dvc repro"}}}'


@pytest.mark.slow
def test_the_lock_of_a_killed_dvc_is_cleared_and_a_damaged_file_of_locks_is_named(make_checkout: MakeCheckout) -> None:
    folder = make_checkout(cmd="mkdir -p data/problems; echo 1 > data/problems/x")
    locks = folder / ".dvc/tmp/rwlock"
    locks.parent.mkdir()
    with subprocess.Popen(["true"]) as dead:
        pass  # a process id that is nobody's any more
    locks.write_text(LOCKED.replace("data/problems", str(folder / "data/problems")) % dead.pid)
    lines: list[str] = []
    assert repro("prepare", folder, log=lines.append).exit_code == 0
    assert [line for line in lines if f"(Pid {dead.pid})" in line and "had been killed" in line]
    locks.write_text('{"read"')
    (folder / "params.yaml").write_text("seed: 1\n")
    outcome = repro("prepare", folder, log=lambda _: None)
    assert outcome.exit_code == USER_MISTAKE
    assert outcome.message.endswith("delete .dvc/tmp/rwlock and run again")


STARTER = """
import sys
from pathlib import Path
from flows.stage import repro
repro("prepare", Path.cwd())
"""


@pytest.mark.slow
def test_nothing_of_a_stage_survives_a_killed_flow(make_checkout: MakeCheckout) -> None:
    folder = make_checkout(cmd="echo $$ > pids; sleep 602 & echo $! >> pids; wait")
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=folder, env=os.environ | {"PYTHONPATH": "."}) as flow:
        pids = eventually(lambda: (folder / "pids").exists() and (folder / "pids").read_text().split())
        flow.kill()
    eventually(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids), 60)


PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
CHILD = """
import os, time
from flows.process import ends_with_parent
with ends_with_parent():
    print(os.getpid(), flush=True)
    time.sleep(600)
"""


def test_a_flow_ends_when_the_process_that_started_it_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    eventually(lambda: not psutil.pid_exists(child), 60)


def test_a_whole_group_is_ended_even_if_a_member_ignores_sigterm() -> None:
    script = "import os, signal, time; os.fork(); signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'1\\n')"
    command = [sys.executable, "-c", f"{script}; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == [b"1\n", b"1\n"]  # both processes are up
            members = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            assert len(members) == 2
        finally:
            started = time.monotonic()
            end_group(process.pid, grace_seconds=0.5)
        assert 0.5 <= time.monotonic() - started < 5
    eventually(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in members), 60)


def test_a_progress_bar_is_logged_as_the_picture_a_terminal_shows() -> None:
    # "10%" and "20%" were drawn over each other and then replaced by "done"
    assert logged(b"start\n\r10%\r20%\rdone\nrest") == ["start", "done", "rest"]


def test_bytes_that_are_no_text_do_not_stop_the_log() -> None:
    assert logged(b"\xff\n") == ["�"]


def logged(output: bytes) -> list[str]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.write(writing, output)
        os.close(writing)
        return list(_lines(pipe))
