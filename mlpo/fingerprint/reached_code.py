"""The modules that a stage reaches by its imports, and the digest of each."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

from mlpo.files import write_json_atomic
from mlpo.fingerprint import syntax
from mlpo.fingerprint.syntax import bytes_digest

PACKAGE = "mlpo"
BOOKKEEPING: Mapping[str, str] = {
    "mlpo.fingerprint": "what is stale is no part of a result",
    "mlpo.stages.timings": "it measures seconds",
    "mlpo.stages.progress": "it shows how far a stage is",
    "mlpo.training.progress": "it shows how far a training is",
    "mlpo.progress_lines": "it says how far a stage is",
    "mlpo.inference.usage": "it counts tokens and seconds of what was asked",
    "mlpo.inference.ray_backend": "where a request is computed; Ray's workers run the same backend",
    "mlpo.processes.process_group": "it ends processes",
    "mlpo.inference.load_balancer": "which of several equal servers is asked",
    "mlpo.inference.circuit_breaker": "whether a server that is down is asked again at once",
    "mlpo.tracking.stage_run": "it records a run",
    "mlpo.tracking.traces": "it records transcripts",
    "mlpo.processes.session": "it ends processes",
}
"""Modules that decide no byte of a result, with why; whatever they alone import counts no more than they do."""


def code_of(stage: str, graph: ImportGraph) -> dict[str, str]:
    """Module or file of the package -> digest, for all that `mlpo.stages.<stage>` reaches."""
    found: dict[str, str] = {}
    for module in sorted(graph.reached_from(f"{PACKAGE}.stages.{stage}")):
        found |= graph.digests_of(module)
    return found


class ImportGraph:
    """The package's imports, with the digest of every module; kept digests are taken for files that did not change."""

    def __init__(self, kept: Path | None = None) -> None:
        """`kept`: a file of digests by content, from a run before; it is written by `keep`."""
        found = importlib.util.find_spec(PACKAGE)
        assert found is not None
        assert found.origin is not None
        self.root = Path(found.origin).parent
        self._graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
        self._kept_at = kept
        self._version = bytes_digest(f"{sys.version_info[:2]}".encode() + Path(syntax.__file__).read_bytes())
        self._digests = self._read_kept()
        self._used: dict[str, str] = {}

    def reached_from(self, module: str) -> set[str]:
        """All that is imported with a module: directly or not, packages on the way with their `__init__`.

        Raises:
            ValueError: there is no such module.
        """
        if module not in self._graph.modules:
            raise ValueError(f"{module}: no module of {PACKAGE}")
        found, waiting = set[str](), {module}
        while waiting:
            each = waiting.pop()
            found.add(each)
            nexts = set(self._graph.find_modules_directly_imported_by(each)) | set(_packages_of(each))
            waiting |= {name for name in nexts if not is_bookkeeping(name)} - found
        return found

    def digests_of(self, module: str) -> dict[str, str]:
        """The digest of a module, and of the files beside it that are no Python (templates, data)."""
        place = self.root.joinpath(*module.split(".")[1:])
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        found = {module: self._digest(source)}
        if source.parent != self.root:
            for file in sorted(source.parent.iterdir()):
                if file.is_file() and file.suffix not in (".py", ".pyc"):
                    found[f"{PACKAGE}/{file.relative_to(self.root).as_posix()}"] = bytes_digest(file.read_bytes())
        return found

    def keep(self) -> None:
        """Write the digests down, so that the next run parses only what changed."""
        if self._kept_at is not None and self._used != self._digests:
            write_json_atomic(self._kept_at, {"version": self._version, "digests": self._used})

    def _digest(self, source: Path) -> str:
        content = source.read_bytes()
        key = bytes_digest(content)
        self._used[key] = self._digests.get(key) or self._used.get(key) or syntax.python_digest(content)
        return self._used[key]

    def _read_kept(self) -> dict[str, str]:
        """Those of the same rules and Python; none where the file is missing or damaged."""
        try:
            document = json.loads((self._kept_at or Path()).read_text(encoding="utf-8"))
            digests: dict[str, str] = document["digests"] if document["version"] == self._version else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return digests


def is_bookkeeping(module: str) -> bool:
    """Whether a module, or the package it lies in, is on the list."""
    return any(module == name or module.startswith(f"{name}.") for name in BOOKKEEPING)


def _packages_of(module: str) -> Iterator[str]:
    """The packages that are imported before it: "mlpo.agents" of "mlpo.inference.local"."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module
