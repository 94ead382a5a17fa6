"""A user's documents become passages: by paragraph and length, in the files' order; what cannot be read is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlpo.config import ConfigError
from mlpo.references.documents import read_documents


def texts(source: Path, max_characters: int = 600) -> list[str]:
    return [passage.text for passage in read_documents(source, max_characters)]


def test_a_paragraph_is_a_passage_and_a_heading_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Metals\n\nIron rusts.\nGold does not.\n\n\n## Gases\n\nNeon glows.\n")
    found = read_documents(tmp_path / "notes.md", 600)
    assert [p.text for p in found] == ["Metals. Iron rusts. Gold does not.", "Gases. Neon glows."]
    assert [p.source for p in found] == ["notes.md, passage 1", "notes.md, passage 2"]


def test_a_long_paragraph_is_cut_between_words(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(40)]
    (tmp_path / "long.txt").write_text(" ".join(words))
    found = texts(tmp_path / "long.txt", 50)
    assert max(map(len, found)) <= 50 < len(found[0]) + len(" word40")
    assert " ".join(found).split() == words


def test_a_folder_is_read_in_the_order_of_names_and_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "rows.jsonl").write_text('"one"\n\n{"text": "two", "page": 3}\n')
    (tmp_path / "a.txt").write_text("\ufeffzero")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\0")
    for letter in "zyxwvuts":
        (tmp_path / f"{letter}.md").write_text(letter)
    assert texts(tmp_path) == ["zero", "one", "two", *"stuvwxyz"]
    assert read_documents(tmp_path, 600)[2].source == "b/rows.jsonl, passage 2"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt: holds no text"),
        ("a.txt", b"\xff\xfe\x00a", r"a.txt: not UTF-8 text \(byte 0\); convert it"),
        ("a.md", b"text\0more", "a.md: a binary file; convert it"),
        ("a.jsonl", b'"fine"\n{"txt": "x"}\n', r"a.jsonl:2: a row is a string, or an object such as"),
        ("a.jsonl", b"fine\n", "a.jsonl:1: not JSON"),
        ("a.pdf", b"%PDF", "holds no file that ends in .jsonl, .markdown, .md, .rst, .txt"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_documents(tmp_path, 600)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such file or folder of documents; correct .*reference.source"):
        read_documents(tmp_path / "nowhere", 600)


def test_one_file_is_read_whatever_its_ending(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("Read me.")
    assert texts(tmp_path / "README") == ["Read me."]
    (tmp_path / "rows.JSONL").write_text(json.dumps({"text": "A row."}))
    assert texts(tmp_path / "rows.JSONL") == ["A row."]
