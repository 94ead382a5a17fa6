"""`mlpo report` without results, or with those of other problems, says what to do; test_evaluate.py runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpo.config import ConfigError, Params
from mlpo.layout import METRICS, TEST_PROBLEMS, transcripts_of
from mlpo.stages import report
from mlpo.store import read_jsonl, write_json_atomic, write_jsonl_atomic
from mlpo.types import Problem, Transcript


def test_nothing_was_evaluated(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"metrics\.json: no results here; run `mlpo evaluate`"):
        report.run(params)


def test_the_transcripts_are_gone_or_of_other_problems(house: Path, params: Params) -> None:
    write_json_atomic(METRICS, {"strategies": {"leader": {}}})
    with pytest.raises(ConfigError, match=r"leader\.jsonl: no transcripts, though"):
        report.run(params)
    write_jsonl_atomic(transcripts_of("leader"), [Transcript("elsewhere", "leader", (), None)])
    with pytest.raises(ConfigError, match="not the problems of"):
        report.run(params)


def test_the_results_lack_what_verdicts_need(house: Path, params: Params) -> None:
    write_json_atomic(METRICS, {"strategies": {"leader": {}}, "paired": {"leader_vs_majority_vote": {"won": 1}}})
    problems = read_jsonl(TEST_PROBLEMS, Problem)
    write_jsonl_atomic(transcripts_of("leader"), [Transcript(problem.id, "leader", (), None) for problem in problems])
    with pytest.raises(ConfigError, match=r"metrics\.json: no corrected p, so an older mlpo wrote it; run"):
        report.run(params)
