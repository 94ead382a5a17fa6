"""dvc.yaml says what is so: each stage's file in data/code, the paths of layout.py, its command, its run-cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from typer.main import get_command

from mlpo import layout
from mlpo.cli import app
from mlpo.stage_table import STAGES

ROOT = Path(__file__).parents[1]


def read_dvc() -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / "dvc.yaml")


def stages() -> dict[str, dict[str, Any]]:
    """Stage -> its description, the template's for `propose`; without `code`."""
    return {name: stage.get("do", stage) for name, stage in read_dvc()["stages"].items() if name != "code"}


def paths(entries: list[Any]) -> list[str]:
    """The paths of a list of outs, with or without settings."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def outs(stage: str) -> set[str]:
    return {path for kind in ("outs", "metrics", "plots") for path in paths(stages()[stage].get(kind, []))}


def test_the_graph_fits_a_screen() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 85


def test_code_runs_every_time_and_writes_what_each_stage_depends_on() -> None:
    code = read_dvc()["stages"]["code"]
    assert (code["always_changed"], paths(code["outs"])) == (True, [str(layout.CODE)])
    for name, stage in stages().items():
        own = [dep for dep in stage["deps"] if Path(dep).is_relative_to(layout.CODE)]
        assert own == [layout.code_file(name, "${key}" if STAGES[name].of_each_agent else "").as_posix()], name
        assert "params" not in stage
        assert not [dep for dep in stage["deps"] if not dep.startswith("data/")]


def test_the_outputs_are_the_paths_of_layout() -> None:
    expected = {
        "prepare": {layout.PROBLEMS},
        "reference": {layout.reference_of("${key}")},
        "propose": {layout.proposals_of("${key}")},
        "demonstrate": {layout.DEMONSTRATIONS, layout.SOLO_ACCURACY, layout.DEMONSTRATION_STATISTICS},
        "train_sft": {layout.SFT_LEADER, layout.SFT_CURVE},
        "headroom": {layout.HEADROOM},
        "calibrate": {layout.ROUTING, layout.CONSULT_POLICY, layout.CALIBRATION_METRICS},
        "train_mlpo": {layout.MLPO_LEADER, layout.MLPO_CURVE, layout.MLPO_TUPLES, layout.ROLLOUTS},
        "evaluate": {layout.TRANSCRIPTS, layout.METRICS, layout.PLOTS},
        "register": {layout.REGISTERED},
    }
    assert {name: outs(name) for name in stages()} == {name: set(map(str, each)) for name, each in expected.items()}


def test_what_a_stage_reads_another_one_wrote() -> None:
    written = {str(layout.CODE), str(layout.PROPOSALS), str(layout.REFERENCES)}  # the folders of all agents' files
    for name, stage in stages().items():
        read = [Path(dep) for dep in stage["deps"]]
        assert all(any(dep.is_relative_to(path) for path in written) for dep in read), name
        written |= outs(name)


def test_every_stage_has_a_run_cache() -> None:
    # DVC keeps none of a stage with an output that persists (dvc/stage/cache.py), and workers share by it.
    entries = [entry for stage in stages().values() for entry in stage.get("outs", []) if isinstance(entry, Mapping)]
    assert not any(settings.get("persist") for entry in entries for settings in entry.values())


def test_every_stage_says_what_it_does_and_is_a_command() -> None:
    assert list(stages()) == list(STAGES)
    for name, stage in stages().items():
        assert 20 <= len(stage["desc"]) <= 80
        assert re.fullmatch(rf"python -m mlpo\.cli {name}( \$\{{key\}})?", stage["cmd"])
        assert name in get_command(app).commands  # type: ignore[attr-defined]
