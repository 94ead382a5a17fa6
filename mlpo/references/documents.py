"""A user's documents -> passages: files of text, Markdown and JSONL, cut by paragraph and length."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from mlpo.config import ConfigError
from mlpo.types import Passage

TEXT, ROWS = frozenset({".txt", ".md", ".markdown", ".rst"}), frozenset({".jsonl"})
"""Endings of files that are read; a folder's other files are passed over."""
FIELD = "text"
"""Of a row of JSONL that is an object."""
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_HEADING = re.compile(r"#{1,6} [^\n]*\Z")


def read_documents(source: Path, max_characters: int) -> list[Passage]:
    """Every passage of a file or folder, in the order of the files' names.

    A passage is a paragraph; a longer one is cut between words. A Markdown heading goes with the paragraph after it.
    A row of JSONL is a string, or an object with a field `text`, and is cut like a paragraph.

    Args:
        max_characters: the longest passage.
    Raises:
        ConfigError: the source is missing or empty, or a file is binary or no JSONL; the message names file and line.
    """
    return [passage for file in _files(source) for passage in _passages(file, source, max_characters)]


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ConfigError(f"{source}: no such file or folder of documents; correct the agent's reference.source")
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in TEXT | ROWS and path.is_file())
    if not files:
        raise ConfigError(f"{source}: holds no file that ends in {', '.join(sorted(TEXT | ROWS))}")
    return files


def _passages(file: Path, source: Path, max_characters: int) -> list[Passage]:
    name = file.relative_to(source).as_posix() if source.is_dir() else file.name
    paragraphs = _rows(file) if file.suffix.lower() in ROWS else _paragraphs(_text(file))
    wrap = textwrap.TextWrapper(max_characters, break_on_hyphens=False)
    pieces = (piece for paragraph in paragraphs for piece in wrap.wrap(" ".join(paragraph.split())))
    passages = [Passage(piece, f"{name}, passage {number}") for number, piece in enumerate(pieces, start=1)]
    if not passages:
        raise ConfigError(f"{file}: holds no text, so nothing can be looked up in it; fill it or take it away")
    return passages


def _text(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text (byte {error.start}); convert it, or take it away") from None
    if "\0" in text:
        raise ConfigError(f"{file}: a binary file; convert it to text, Markdown or JSONL")
    return text


def _paragraphs(text: str) -> Iterator[str]:
    heading = ""
    for paragraph in _PARAGRAPH.split(text.strip()):
        if _HEADING.match(paragraph):
            heading += paragraph.lstrip("# ") + ". "
        else:
            yield heading + paragraph
            heading = ""
    yield heading


def _rows(file: Path) -> Iterator[str]:
    for number, line in enumerate(_text(file).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{file}:{number}: not JSON: {error}") from None
        text = row.get(FIELD) if isinstance(row, dict) else row
        if not isinstance(text, str):
            raise ConfigError(f'{file}:{number}: a row is a string, or an object such as {{"{FIELD}": "..."}}')
        yield text
