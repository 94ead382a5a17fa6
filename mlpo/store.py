"""Files of values: append-only stores while a stage works, sorted files written in one piece when it ends."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from mlpo.config import ConfigError
from mlpo.files import write_lines_atomic
from mlpo.types import Completion, Demonstration, Passage, Problem, Request, Transcript

Row = TypeVar("Row", Problem, Passage, Completion, Transcript, Demonstration)

_ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Problem, Passage, Completion, Transcript, Demonstration)
}
"""Dataclass <-> JSON, checked field by field; fields a class does not have are passed over."""

_SHARES = TypeAdapter(dict[str, Annotated[float, Field(ge=0, le=1)]])

SYNC_SECONDS = 1.0
"""A store is synced to the disk at most this often: a power cut loses a second's work, a killed process none."""


def request_key(identity: str, request: Request) -> str:
    """The content key of a completion: sha256 of model identity, messages, sampling, seed and sample index.

    Agent names and problem ids are left out: whoever asks one model the same thing gets the same completion. Who wants
    an entropy asks something else: a completion that was kept without one does not answer it.
    """
    sampling = request.sampling
    drawn = [float(sampling.temperature), float(sampling.top_p), sampling.max_tokens, list(sampling.stop)]
    content = [
        identity,
        [[m.role, m.content] for m in request.messages],
        [*drawn, "entropy"] if sampling.entropy else drawn,
        request.seed,
        request.sample,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def encode(value: Problem | Passage | Completion | Transcript | Demonstration) -> bytes:
    """One line of JSON with the value's fields in their declared order, without the line end."""
    return _ADAPTERS[type(value)].dump_json(value)


def write_jsonl_atomic(path: Path, rows: Iterable[Problem | Passage | Completion | Transcript | Demonstration]) -> None:
    """Write one value per line; equal values in equal order give equal bytes."""
    write_lines_atomic(path, map(encode, rows))


def read_solo_accuracy(path: Path) -> dict[str, float]:
    """Problem id -> the leader's own accuracy, as `demonstrate` writes it.

    Raises:
        ConfigError: the file is missing, or no such mapping.
    """
    try:
        return _SHARES.validate_json(b"".join(_lines(path)))
    except ValidationError as error:
        raise ConfigError(
            f"{path}: not a share for each problem: {_first_reason(error)}; run `mlpo demonstrate`"
        ) from None


def read_jsonl(path: Path, kind: type[Row]) -> Iterator[Row]:
    """The values of a file, one at a time, so that memory stays flat.

    Raises:
        ConfigError: the file is missing, or a line is not a `kind`; the message names the line.
    """
    for number, line in enumerate(_lines(path), start=1):
        try:
            value: Row = _ADAPTERS[kind].validate_json(line)
        except ValidationError as error:
            raise ConfigError(f"{path}:{number}: not a {kind.__name__}: {_first_reason(error)}") from None
        yield value


def read_kept(path: Path) -> Iterator[tuple[str, Completion]]:
    """The (content key, completion) pairs of a store or a proposals file.

    Raises:
        ConfigError: the file is missing, or a line is no completion with a key.
    """
    for number, line in enumerate(_lines(path), start=1):
        try:
            yield _decode_kept(line)
        except (ValidationError, KeyError, ValueError):
            raise ConfigError(
                f"{path}:{number}: not a completion with its key; delete the file and run its stage"
            ) from None


def encode_kept(key: str, completion: Completion) -> bytes:
    """One line: the content key, then the completion's fields. `read_jsonl(path, Completion)` reads it too."""
    return b'{"key":"' + key.encode() + b'",' + encode(completion)[1:]


def _decode_kept(line: bytes) -> tuple[str, Completion]:
    completion: Completion = _ADAPTERS[Completion].validate_json(line)
    return str(json.loads(line)["key"]), completion


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run the stage that writes it, or all of them (`dvc repro`)") from None


def _first_reason(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'line'}: {first['msg']}"


def copy_kept(target: Path, sources: Iterable[Path]) -> None:
    """Put into the store `target` what other stores hold and it lacks; those may be missing, or at work meanwhile.

    Raises:
        ConfigError: another process works on `target`, or a line is damaged.
    """
    present = [source for source in sources if source.exists()]
    if not present:
        return
    with CompletionStore(target) as store:
        for source in present:
            with source.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):  # else it is being written
                        store.adopt(line)


class CompletionStore(MutableMapping[str, Completion]):
    """Completions by content key in an append-only file: what is set is on its way to the disk and never asked again.

    Only keys and offsets live in memory (about 200 bytes a completion). One process at a time may open a file; its
    threads may share the store.

    Raises:
        ConfigError: another process holds the file, or a line other than the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._reader = path.open("rb")
        self._offsets: dict[bytes, int] = {}
        self._one_at_a_time = threading.Lock()
        self._synced = time.monotonic()
        try:
            self._lock()
            self._end = self._load()
        except BaseException:
            self._close_files()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{self._path}: another process works on it; wait for it or end it") from None

    def _load(self) -> int:
        """Index every line; cut off a last line that a killed process left unfinished. Returns the file's end."""
        end = 0
        for number, line in enumerate(self._reader, start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(end)
                break
            try:
                key = bytes.fromhex(json.loads(line)["key"])
            except (ValueError, KeyError, TypeError):
                raise ConfigError(f"{self._path}:{number}: damaged line; delete the file to start it afresh") from None
            self._offsets[key] = end
            end += len(line)
        return end

    def __getitem__(self, key: str) -> Completion:
        with self._one_at_a_time:
            self._reader.seek(self._offsets[bytes.fromhex(key)])
            line = self._reader.readline()
        return _decode_kept(line)[1]

    def __setitem__(self, key: str, completion: Completion) -> None:
        line = encode_kept(key, completion) + b"\n"
        with self._one_at_a_time:
            self._file.write(line)
            self._offsets[bytes.fromhex(key)] = self._end
            self._end += len(line)
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def adopt(self, line: bytes) -> None:
        """Keep a line of another store, unless its key is kept."""
        key, completion = _decode_kept(line)
        if key not in self:
            self[key] = completion

    def __delitem__(self, key: str) -> None:
        raise TypeError("a completion store only grows; delete the file to forget it")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bytes.fromhex(key) in self._offsets

    def __iter__(self) -> Iterator[str]:
        return (key.hex() for key in self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def close(self) -> None:
        """Sync and release the file."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._close_files()

    def _close_files(self) -> None:
        self._file.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
