"""Raw rows come as published, from the hub's layout, a folder or a package; what is missing is named with its mend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mlpo.benchmarks.sources import Hub, Package, read_file, read_split
from mlpo.config import ConfigError, PrepareConfig

ROWS = [{"question": "1 + 1?", "answer": "#### 2"}, {"question": "2 + 2?", "answer": "#### 4"}]
NOWHERE = Package("no_such_package", "no-such-package==1.0", {"train": "train.jsonl", "test": "test.jsonl"})


def asked(**source: Any) -> PrepareConfig:
    return PrepareConfig(benchmark="gsm8k", families=("all",), **source)


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A dataset of two parts in the hub's layout, as `hf download` leaves it."""
    folder = tmp_path / "sums"
    write_parquet(folder / "easy" / "train-00000-of-00001.parquet", ROWS[:1])
    write_parquet(folder / "easy" / "test-00000-of-00001.parquet", ROWS)
    write_parquet(folder / "hard" / "train-00000-of-00001.parquet", ROWS[1:])
    write_parquet(folder / "hard" / "test-00000-of-00001.parquet", ROWS[:1])
    parts = [
        {"config_name": name, "data_files": [{"split": s, "path": f"{name}/{s}-*"} for s in ("train", "test")]}
        for name in ("easy", "hard")
    ]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(parts)}\n---\n")
    return folder


def test_the_hubs_rows_come_part_by_part(published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    hub = Hub(str(published), "0123abc", ("easy", "hard"))
    found = read_split(asked(source="hub"), "train", hub, NOWHERE, "sums")
    assert found == [("easy", ROWS[0]), ("hard", ROWS[1])]
    assert len(read_split(asked(source="hub"), "test", hub, NOWHERE, "sums")) == 3


def test_the_hub_is_asked_for_the_pinned_commit_unless_another_is_named(monkeypatch: pytest.MonkeyPatch):
    calls: list[tuple[Any, ...]] = []

    def record(path: str, name: str, *, split: str, revision: str) -> list[dict[str, str]]:
        calls.append((path, name, split, revision))
        return []

    monkeypatch.setattr("datasets.load_dataset", record)
    hub = Hub("openai/gsm8k", "pinned", ("main",))
    read_split(asked(source="hub"), "test", hub, NOWHERE, "gsm8k")
    read_split(asked(source="hub", revision="other"), "train", hub, NOWHERE, "gsm8k")
    assert calls == [("openai/gsm8k", "main", "test", "pinned"), ("openai/gsm8k", "main", "train", "other")]


def test_offline_the_hub_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"openai/gsm8k: HF_HUB_OFFLINE is set; .* prepare.source to package or path"):
        read_split(asked(source="hub"), "test", Hub("openai/gsm8k", "abc"), NOWHERE, "gsm8k")


def test_a_folder_as_downloaded_gives_what_the_hub_gives(published: Path):
    hub = Hub("some/sums", "abc", ("easy", "hard"))
    found = read_split(asked(source="path", path=str(published.parent)), "train", hub, NOWHERE, "sums")
    assert found == [("easy", ROWS[0]), ("hard", ROWS[1])]


@pytest.mark.parametrize("name", ["train.jsonl", "data/train-00000-of-00001.jsonl"])
def test_one_file_of_a_split_holds_all_parts(name: str, tmp_path: Path):
    write_jsonl(tmp_path / "sums" / name, ROWS)
    hub = Hub("some/sums", "abc", ("easy", "hard"))
    found = read_split(asked(source="path", path=str(tmp_path)), "train", hub, NOWHERE, "sums")
    assert found == [("default", row) for row in ROWS]


def test_a_file_may_be_named_after_its_part(tmp_path: Path):
    (tmp_path / "sums").mkdir()
    (tmp_path / "sums" / "easy.json").write_text(json.dumps({"canary": "x", "examples": ROWS}))
    found = read_split(
        asked(source="path", path=str(tmp_path)), "test", Hub("some/sums", "abc", ("easy",)), NOWHERE, "sums"
    )
    assert found == [("easy", row) for row in ROWS]


def test_what_is_missing_is_named_with_its_mend(tmp_path: Path):
    config = asked(source="path", path=str(tmp_path))
    with pytest.raises(ConfigError, match=r"prepare.path: .*sums: no such folder"):
        read_split(config, "train", Hub("some/sums", "abc"), NOWHERE, "sums")
    (tmp_path / "sums").mkdir()
    with pytest.raises(ConfigError, match=r"no rows of split 'train' \(easy\); expected train\*, easy/train\*"):
        read_split(config, "train", Hub("some/sums", "abc", ("easy",)), NOWHERE, "sums")
    with pytest.raises(ConfigError, match=r"no-such-package==1.0 is not installed; `pip install --no-deps no-such"):
        read_split(asked(), "train", Hub("some/sums", "abc"), NOWHERE, "sums")


def test_a_package_is_found_and_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_jsonl(tmp_path / "holds_sums" / "data" / "train.jsonl", ROWS)
    (tmp_path / "holds_sums" / "__init__.py").write_text("raise ImportError('needs what is not installed')")
    monkeypatch.syspath_prepend(tmp_path)
    package = Package("holds_sums", "holds-sums==1.0", {"train": "data/train.jsonl"})
    assert read_split(asked(), "train", Hub("some/sums", "abc"), package, "sums") == [("default", row) for row in ROWS]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"x": 1}\nnot json\n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", '{"x": 1}\n[1]\n', r"a.jsonl: row 2 is \[1\], not a mapping of fields"),
        ("a.json", "{}", r"a.json: not readable as rows: KeyError\('examples'\)"),
        ("a.json", "5", r"a.json: not readable as rows: TypeError"),
        ("a.json", '["x"]', r"a.json: row 1 is 'x', not a mapping of fields"),
        ("a.parquet", "not parquet", r"a.parquet: not a parquet file"),
        ("a.jsonl", None, r"a.jsonl: no such file"),
    ],
)
def test_a_broken_file_is_named(name: str, content: str | None, message: str, tmp_path: Path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message):
        list(read_file(tmp_path / name))
