"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` once it is whole and on the disk; until then nothing changes.

    It lies in the same folder under a temporary name, is synced and then renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp makes 0600, which a shared DVC cache could not read
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Write these bytes."""
    with replacing(path) as file:
        file.write(content)


def write_lines_atomic(path: Path, lines: Iterable[bytes]) -> None:
    """Write lines, each with its end."""
    with replacing(path) as file:
        for line in lines:
            file.write(line + b"\n")


def write_json_atomic(path: Path, value: Any) -> None:
    """Write one readable JSON document with sorted keys."""
    write_lines_atomic(
        path, [json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()]
    )
