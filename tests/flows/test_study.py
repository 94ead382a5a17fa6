"""A study's flow shows the page that its own run wrote, and no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import flows.study
from flows.stage import Outcome
from mlpo.studies.run import RESULTS


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The artifacts of the flow, in a folder where a study before left its page."""
    monkeypatch.chdir(tmp_path)
    RESULTS.mkdir(parents=True)
    (RESULTS / "demo.md").write_text("before")
    pages: list[str] = []
    monkeypatch.setattr(flows.study, "create_markdown_artifact", lambda markdown, **_: pages.append(markdown))
    return pages


def ended(monkeypatch: pytest.MonkeyPatch, exit_code: int, work: Callable[[], object]) -> str:
    """The name of the state that the flow ends in if its command does `work` and ends with the code."""

    def command(word: str, *arguments: str) -> Outcome:
        assert (word, arguments) == ("study", ("demo", "--jobs", "2"))
        work()
        return Outcome(word, exit_code, False, "said", ("said",))

    monkeypatch.setattr(flows.study, "run_word", command)
    return str(flows.study.run_study.fn("demo", 2).name)


def test_nothing_finished(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(monkeypatch, 75, lambda: None) == "Failed"
    assert shown == []


def test_a_part_or_all_finished(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(monkeypatch, 1, lambda: (RESULTS / "demo.md").write_text("some")) == "Failed"
    assert ended(monkeypatch, 0, lambda: (RESULTS / "demo.md").write_text("all")) == "Completed"
    assert shown == ["some", "all"]
