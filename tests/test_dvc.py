"""dvc.yaml says what is so: the modules a stage imports, the paths of layout.py, the sections it reads, its command.

`python tests/test_dvc.py` writes the modules into dvc.yaml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from mlpo import layout
from mlpo.cli import STAGES, app
from mlpo.config import Params

ROOT = Path(__file__).parents[1]
BOOKKEEPING = {"mlpo.tracking.runs", "mlpo.tracking.traces", "mlpo.stages.clock", "mlpo.stages.progress"}
"""They record and show what a stage does, and decide no byte of it: a change there makes no result stale."""


SECTION = {"reference": "team.${key}", "headroom": "team", "calibrate": "consult"}
"""Stages whose own parameters do not stand in a section of their name."""


def read_dvc() -> dict[str, Any]:
    return YAML(typ="safe").load(ROOT / "dvc.yaml")


def stages() -> dict[str, dict[str, Any]]:
    """Stage -> its description, the template's for `propose`."""
    return {name: stage.get("do", stage) for name, stage in read_dvc()["stages"].items()}


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("mlpo", exclude_type_checking_imports=True, cache_dir=None)


def imported_files(stage: str) -> list[str]:
    """The files of the modules a stage imports, directly or not, and what lies beside them that is no Python."""
    graph, found, waiting = import_graph(), set[str](), {f"mlpo.stages.{stage}"}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= graph.find_modules_directly_imported_by(module) - found - BOOKKEEPING
    paths = {path for module in found for path in files_of(module)}
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def files_of(module: str) -> list[Path]:
    place = ROOT / module.replace(".", "/")
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    beside = source.parent.iterdir() if source.parent != ROOT / "mlpo" else ()
    return [source, *(path for path in beside if path.is_file() and path.suffix != ".py")]


def paths(entries: list[Any]) -> list[str]:
    """The paths of a list of outs, with or without settings."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def outs(stage: str) -> set[str]:
    return {path for kind in ("outs", "metrics", "plots") for path in paths(stages()[stage].get(kind, []))}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_very_modules_it_imports(stage: str) -> None:
    named = sorted(dep for dep in stages()[stage]["deps"] if dep.startswith("mlpo/"))
    assert named == imported_files(stage), "run `python tests/test_dvc.py`, which writes them"


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
    written = {str(layout.PROPOSALS), str(layout.REFERENCES)}  # the folders of all agents' files
    for name, stage in stages().items():
        read = [Path(dep) for dep in stage["deps"] if dep.startswith("data/")]
        assert all(any(dep.is_relative_to(path) for path in written) for dep in read), name
        written |= outs(name)


def test_every_stage_has_a_run_cache() -> None:
    # DVC keeps none of a stage with an output that persists (dvc/stage/cache.py), and workers share by it.
    entries = [entry for stage in stages().values() for entry in stage.get("outs", []) if isinstance(entry, Mapping)]
    assert not any(settings.get("persist") for entry in entries for settings in entry.values())


def test_every_parameter_of_a_stage_exists_and_its_own_section_is_among_them() -> None:
    known = {info.alias or name for name, info in Params.model_fields.items()}
    for name, stage in stages().items():
        assert {param.partition(".")[0] for param in stage["params"]} <= known
        assert SECTION.get(name, name) in stage["params"]


@pytest.mark.parametrize(
    "file", ["params.yaml", *sorted(f"configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml"))]
)
def test_every_parameter_of_a_stage_is_written_out(file: str) -> None:
    # DVC stops at a stage of which params.yaml lacks a parameter, default or not
    raw = YAML(typ="safe").load(ROOT / file)
    wanted = {
        param.replace("${key}", agent)
        for stage in stages().values()
        for param in stage["params"]
        for agent in raw["team"]
    }
    for param in sorted(wanted):
        value = raw
        for key in param.split("."):
            assert key in value, f"{file} lacks {param}"
            value = value[key]


def test_a_stage_names_the_sections_it_reads_and_no_others() -> None:
    # `params.section` in the modules a stage imports, against `params:` in dvc.yaml
    known = {info.alias or name for name, info in Params.model_fields.items()} - {"runtime"}
    for name, stage in stages().items():
        files = [ROOT / path for path in imported_files(name)]
        used = {word for path in files for word in re.findall(r"\bparams\.([a-z_]+)", path.read_text())}
        used = {word.rstrip("_") for word in used} & known
        assert used == {param.partition(".")[0] for param in stage["params"]} - {"runtime"}, name


def test_every_stage_says_what_it_does_and_is_a_command() -> None:
    assert list(stages()) == list(STAGES)
    for name, stage in stages().items():
        assert 20 <= len(stage["desc"]) <= 80
        assert re.fullmatch(rf"python -m mlpo\.cli {name}( \$\{{key\}})?", stage["cmd"])
        assert name in get_command(app).commands  # type: ignore[attr-defined]


def write_modules() -> None:
    """Bring the modules in dvc.yaml up to date and leave the rest of it as it is."""
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 120, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    description = yaml.load(ROOT / "dvc.yaml")
    for name, stage in description["stages"].items():
        template = stage.get("do", stage)
        data = [dep for dep in template["deps"] if not dep.startswith("mlpo/")]
        template["deps"] = [*data, *imported_files(name)]
    yaml.dump(description, ROOT / "dvc.yaml")


if __name__ == "__main__":
    os.chdir(ROOT)
    write_modules()
