"""The promotion flow: gate and person decide, the run's end and an artifact say what; a mistake is a failed run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import MakeCheckout, Prefect, eventually, run, running

pytestmark = pytest.mark.slow

REGISTER = """
from pathlib import Path
from mlpo.config import load_params
from mlpo.tracking.promotion import rollback
from tests.tracking.candidates import MLPO, PROBLEMS, candidate, register, write_leader
write_leader(MLPO, "none")
PROBLEMS.mkdir(parents=True)
params = load_params(Path("params.yaml"))
register(candidate(params, "0" * 40))
register(candidate(params, "1" * 40, weights="w1"))
rollback()
"""
DECIDE = """
from flows.promote import promote, rollback

def tell(state):
    print("decided:", state.name, state.message, sep="|", flush=True)

tell(promote(1, return_state=True))
tell(promote(3, return_state=True))
tell(promote(2, ask_approval=True, return_state=True))
tell(promote(2, ask_approval=True, approval_hours=0.001, return_state=True))
tell(promote(2, ask_approval=True, reason="for Monday", return_state=True))
tell(rollback(return_state=True))
"""
PATIENCE = 600
"""Seconds; most of it is for a machine with other work."""
GATE = "+1.000 [+1.000, +1.000] over the champion on 40 problems"


def test_the_gate_and_a_person_decide(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout: Path = make_checkout()
    env = prefect.env | {"PYTHONPATH": str(checkout)}
    run(sys.executable, "-c", REGISTER, cwd=checkout, env=env, timeout=PATIENCE)
    log = checkout / "log"

    def decided() -> list[str]:
        return [line.partition("|")[2] for line in log.read_text().splitlines() if line.startswith("decided:")]

    with running(sys.executable, "-c", DECIDE, cwd=checkout, env=env, log=log):
        first = paused(prefect)
        assert decided() == [
            "Refused|it is the champion already",
            "Failed|there is no leader version 3; known versions: 2, 1",
        ]
        asked = prefect.get(
            f"/flow_runs/{first['id']}/input/{first['state']['state_details']['run_input_keyset']['description']}"
        )
        assert all(words in str(asked) for words in ("Shall version 2 become champion?", "| improvement | 1.0 |"))
        assert resume(prefect, first, approved=True, by="Ann") == "REJECT"  # a word without a reason is none
        assert resume(prefect, first, approved=False, by="Ann", reason="too slow") == "ACCEPT"
        eventually(lambda: len(decided()) == 4, PATIENCE)
        assert resume(prefect, paused(prefect), approved=True, by="Bo", reason="fine") == "ACCEPT"
        eventually(lambda: len(decided()) == 6, PATIENCE)
    assert decided()[2:] == [
        f"Refused|refused by Ann: too slow (the gate: {GATE})",
        f"Refused|nobody approved it in 0.001 hours (the gate: {GATE})",
        f"Promoted|{GATE} (for Monday; approved by Bo: fine)",
        "Promoted|rolled back from version 2",
    ]
    artifacts = prefect.post("/artifacts/filter", artifacts={"key": {"any_": ["decision"]}})
    assert sum("waits for a person's word" in artifact["description"] for artifact in artifacts) == 3
    failures = prefect.post("/artifacts/filter", artifacts={"key": {"any_": ["failure"]}})  # other tests leave some too
    (failure,) = (each for each in failures if "there is no leader version 3" in each["data"])
    assert "mend what the line above names" in failure["data"]


def paused(prefect: Prefect) -> dict[str, Any]:
    """The run that waits for a person, with its form written."""
    wanted = {"state": {"type": {"any_": ["PAUSED"]}}}
    (found,) = eventually(lambda: prefect.post("/flow_runs/filter", flow_runs=wanted), PATIENCE)
    eventually(lambda: prefect.post(f"/flow_runs/{found['id']}/input/filter", prefix=""), PATIENCE)
    return found  # type: ignore[no-any-return]


def resume(prefect: Prefect, flow_run: dict[str, Any], **word: Any) -> str:
    return str(prefect.post(f"/flow_runs/{flow_run['id']}/resume", run_input=word)["status"])
