"""The promotion flow: the gate's decision is the run's end and an artifact, a mistake is a failed run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.flows.conftest import MakeCheckout, Prefect, run

pytestmark = pytest.mark.slow

REGISTER = """
from pathlib import Path
from mlpo.tracking.connect import connect
client = connect().client
client.create_registered_model("leader")
client.create_model_version("leader", source=str(Path("weights").resolve()))
"""
DECIDE = """
from flows.promote import promote, rollback
for state in (
    promote(1, return_state=True),
    promote(1, force=True, reason="a first one is needed", return_state=True),
    promote(2, return_state=True),
    rollback(return_state=True),
):
    print("decided:", state.name, state.message, sep="|")
"""


def test_refused_forced_unknown_and_no_way_back(prefect: Prefect, make_checkout: MakeCheckout) -> None:
    checkout: Path = make_checkout()
    (checkout / "weights").mkdir()
    (checkout / "weights/model.safetensors").write_text("none")
    env = prefect.env | {"PYTHONPATH": str(checkout)}
    run(sys.executable, "-c", REGISTER, cwd=checkout, env=env)
    printed = run(sys.executable, "-c", DECIDE, cwd=checkout, env=env, timeout=300).splitlines()
    assert [line.split("|")[1:] for line in printed if line.startswith("decided:")] == [
        ["Refused", "it carries no evaluation"],
        ["Promoted", "forced: a first one is needed (the gate: it carries no evaluation)"],
        ["Failed", "there is no leader version 2; known versions: 1"],
        ["Failed", "there is no previous champion to roll back to"],
    ]
    artifacts = prefect.post("/artifacts/filter", artifacts={"key": {"any_": ["decision"]}})
    assert sorted(artifact["description"] for artifact in artifacts) == [
        "Version 1: forced: a first one is needed (the gate: it carries no evaluation)",
        "Version 1: it carries no evaluation",
    ]
