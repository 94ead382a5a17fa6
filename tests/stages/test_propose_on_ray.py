"""Stage `propose` on a real Ray of two workers: the bytes that one process writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpo.config import parse_params
from mlpo.inference import cache
from mlpo.layout import WORK, proposals_of
from mlpo.stages import propose
from mlpo.store import read_kept
from tests.training.conftest import save_tiny

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own


def test_two_workers_write_what_one_process_writes(
    house: Path, raw_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(cache, "CHUNK", 2)  # five batches
    save_tiny(house / "tiny")
    raw_params["team"]["adder"]["model"] = str(house / "tiny")
    raw_params["runtime"] = {"device": "cpu", "dtype": "float32"}
    output, store = proposals_of("adder"), WORK / "proposals" / "adder.jsonl"

    propose.run(parse_params(raw_params), "adder")
    alone = output.read_bytes()
    assert any(completion.text for _, completion in read_kept(output))
    output.unlink()
    store.unlink()

    raw_params["runtime"]["ray"] = {"workers": 2, "start_seconds": 300}
    propose.run(parse_params(raw_params), "adder")
    assert output.read_bytes() == alone
