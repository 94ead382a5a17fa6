"""Three doors, one path: `dvc repro`, the Prefect flow and `mlpo <stage>` leave the same bytes and dvc.lock."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest

from tests.flows.conftest import MakeCheckout, Prefect, run

pytestmark = pytest.mark.slow


def content(checkout: Path) -> dict[str, str]:
    """Every file under data/problems, and dvc.lock where there is one -> its sha256."""
    paths = [
        path for path in (*sorted((checkout / "data/problems").rglob("*")), checkout / "dvc.lock") if path.is_file()
    ]
    return {str(path.relative_to(checkout)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_flow_dvc_and_the_command_line_leave_the_same_bytes(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    env = prefect.env
    by_dvc, by_flow, by_hand = (make_checkout(name) for name in ("dvc", "flow", "hand"))
    for checkout in (by_dvc, by_flow):
        (checkout / "dvc.lock").unlink(missing_ok=True)
    flow = (sys.executable, "-m", "flows.pipeline", '{"stages": ["prepare"]}')
    run("dvc", "repro", "prepare", cwd=by_dvc, env=env)
    run(*flow, cwd=by_flow, env=env, timeout=400)
    run("mlpo", "prepare", cwd=by_hand, env=env)
    assert len(content(by_dvc)) == 6  # four splits, their statistics and the lock
    assert content(by_dvc) == content(by_flow)
    problems = {path: digest for path, digest in content(by_dvc).items() if path != "dvc.lock"}
    assert {path: digest for path, digest in content(by_hand).items() if path != "dvc.lock"} == problems

    started = time.monotonic()
    assert "didn't change, skipping" in run("dvc", "repro", "prepare", cwd=by_flow, env=env)
    assert time.monotonic() - started < 5 * slowness()
    assert "0 of 1 stages ran" in run(*flow, cwd=by_dvc, env=env, timeout=400)


def test_a_flow_sees_edited_code_and_no_comment(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout = make_checkout()
    env = prefect.env | {"PYTHONPATH": str(checkout)}  # its own code, not the installed one
    flow = (sys.executable, "-m", "flows.pipeline", '{"stages": ["prepare"]}')
    code = checkout / "mlpo/method/splits.py"
    ran = []
    for edited in (
        code.read_text(),
        code.read_text() + "# a comment\n",
        code.read_text() + "NEW = 1\n",
    ):
        code.write_text(edited)
        ran.append("1 of 1 stages ran" in run(*flow, cwd=checkout, env=env, timeout=400))
    assert ran == [True, False, True]


def slowness() -> float:
    """How many times slower than an idle machine this one computes now; at least 1."""
    started = time.monotonic()
    sum(range(10**7))
    return max(1.0, (time.monotonic() - started) / 0.25)


def test_a_dvc_experiment_runs_with_another_parameter(make_checkout: MakeCheckout) -> None:
    checkout, env = make_checkout(), os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run("dvc", "exp", "run", "prepare", "-S", "prepare.num_train=70", cwd=checkout, env=env)
    assert len((checkout / "data/problems/train.jsonl").read_text().splitlines()) == 70
    assert "prepare.num_train" in run("dvc", "params", "diff", cwd=checkout, env=env)
