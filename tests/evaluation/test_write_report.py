"""`mlpo report` without results, or with those of other problems, says what to do; test_evaluate.py runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpo.config import ConfigError
from mlpo.evaluation import write_report
from mlpo.files import write_json_atomic
from mlpo.layout import METRICS, transcripts_of
from mlpo.store import write_jsonl_atomic
from mlpo.types import Transcript


def test_nothing_was_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"metrics\.json: no results here; run `mlpo evaluate`"):
        write_report.run()


def test_the_transcripts_are_gone_or_of_other_problems(house: Path) -> None:
    write_json_atomic(METRICS, {"strategies": {"leader": {}}, "confidence": 0.95})
    with pytest.raises(ConfigError, match=r"leader\.jsonl: no transcripts, though"):
        write_report.run()
    write_jsonl_atomic(transcripts_of("leader"), [Transcript("elsewhere", "leader", (), None)])
    with pytest.raises(ConfigError, match="not the problems of"):
        write_report.run()


def test_results_that_do_not_say_their_confidence(house: Path) -> None:
    write_json_atomic(METRICS, {"strategies": {"leader": {}}, "paired": {"leader_vs_majority_vote": {"won": 1}}})
    with pytest.raises(
        ConfigError, match=r"metrics\.json: does not say its confidence, so an older mlpo wrote it; run"
    ):
        write_report.run()
