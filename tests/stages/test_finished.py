"""What a stage's last run left is found at its place, and in DVC's cache once DVC has cleared that place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from mlpo.stages.finished import finished_output

OUTPUT = Path("data/proposals/adder.jsonl")


def test_a_cleared_output_is_found_in_dvcs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cmd = f"mkdir -p {OUTPUT.parent}; echo one > {OUTPUT}"
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"propose": {"cmd": cmd, "outs": [str(OUTPUT)]}}}))
    with Repo.init(no_scm=True) as repo:
        assert finished_output(OUTPUT) is None
        repo.reproduce("propose")
    assert finished_output(OUTPUT) == OUTPUT
    OUTPUT.unlink()
    found = finished_output(OUTPUT)
    assert found is not None
    assert found.read_text() == "one\n"
    assert finished_output(Path("data/proposals/guesser.jsonl")) is None
    found.unlink()
    assert finished_output(OUTPUT) is None
