"""Stage `code`: a file for every stage, rewritten where it differs; and DVC sees an edit, but no comment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpo.config import Params
from mlpo.layout import CODE, code_file
from mlpo.stages import code
from tests.flows.conftest import MakeCheckout, make_checkout

__all__ = ["make_checkout"]


def test_every_stage_has_a_file_and_what_changed_is_told(
    house: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = code_file("propose", "gone")
    stray.parent.mkdir(parents=True)
    stray.write_text("{}")
    code.run(params)
    assert sorted(p.relative_to(CODE).as_posix() for p in CODE.rglob("*.json"))[:4] == [
        "calibrate.json", "demonstrate.json", "evaluate.json", "headroom.json",
    ]  # fmt: skip
    assert {p.stem for p in (CODE / "propose").iterdir()} == set(params.team)
    assert capsys.readouterr().out == ""
    written = {path: path.read_bytes() for path in CODE.rglob("*.json")}
    code.run(params)
    assert {path: path.read_bytes() for path in CODE.rglob("*.json")} == written
    assert capsys.readouterr().out == ""
    old = json.loads(code_file("train_mlpo").read_text())
    old["code"]["mlpo.method.objective"] = "0"
    code_file("train_mlpo").write_text(json.dumps(old))
    code.run(params)
    assert capsys.readouterr().out == "train_mlpo: changed in mlpo.method.objective\n"
    assert code_file("train_mlpo").read_bytes() == written[code_file("train_mlpo")]


@pytest.mark.slow
def test_dvc_sees_an_edit_and_a_parameter_but_no_comment(make_checkout: MakeCheckout) -> None:
    checkout = make_checkout()
    (checkout / "dvc.lock").unlink(missing_ok=True)
    bin_folder = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}

    def repro(*target: str) -> str:
        command = [sys.executable, "-m", "dvc", "repro", *target]
        return subprocess.run(command, cwd=checkout, env=env, check=True, capture_output=True, text=True).stdout

    def edit(path: str, before: str, after: str) -> None:
        text = (checkout / path).read_text()
        assert before in text
        (checkout / path).write_text(text.replace(before, after, 1))

    assert "Running stage 'prepare'" in repro("prepare")
    edit("mlpo/method/splits.py", "from __future__", "# a comment\nfrom __future__")
    edit("params.yaml", "steps: 48", "steps: 47")
    assert "Running stage 'prepare'" not in repro("prepare")
    edit("params.yaml", "num_train: 280", "num_train: 270")
    assert "Running stage 'prepare'" in repro("--single-item", "code", "prepare")
    edit("mlpo/stages/prepare.py", "def run(", "NEW = 1\n\n\ndef run(")
    assert "Running stage 'prepare'" in repro("--single-item", "code", "prepare")
