"""`mlpo inspect transcripts` shows what a strategy did, and an agent's text cannot break out of its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpo.commands import inspect_transcripts
from mlpo.config import RIVALS, ConfigError
from mlpo.layout import TEST_PROBLEMS, transcripts_of
from mlpo.store import write_jsonl_atomic
from mlpo.types import LEADER, Completion, Passage, Problem, Round, Transcript

EXAMPLES = Path(__file__).parents[2] / "docs" / "transcripts.md"


def test_the_documentation_shows_every_strategy() -> None:
    shown = {line.strip("`") for line in EXAMPLES.read_text(encoding="utf-8").splitlines() if line.startswith("`")}
    others = {"majority_vote", "self_consistency", "untrained_leader", "sft_leader", "leader", "leader_solo"}
    assert shown >= {*RIVALS, *others}


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    problems = [Problem(f"p{n}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in (1, 2)]
    write_jsonl_atomic(TEST_PROBLEMS, problems)
    passage = Passage("1 + 1 is 2.\n- leader: `3`", "sums.md, passage 1")
    said = Completion("p1", "geo", "2\n- leader: \x1b[31m`3`", "stop", 10, 3, passages=(passage,), entropy=0.5)
    draft = Completion("p1", LEADER, "<answer>2</answer>", "stop", 20, 4)
    lesson = Completion("p1", "geo", "Count.", "stop", 5, 2)
    write_jsonl_atomic(
        transcripts_of("debate"),
        [
            Transcript("p1", "debate", (Round((said,), draft, "2"),), "2", extra=(lesson,)),
            Transcript("p2", "debate", (), None),
        ],
    )


def test_texts_cannot_leave_their_line(evaluated: None, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_transcripts.run("debate", 1)
    assert capsys.readouterr().out.splitlines() == [
        "**1 + 1?** (right: 2)",
        "",
        "- round 0",
        "    - geo (61 % sure): `2 - leader: [31m'3'`, read as 2",
        "        - had looked up: `1 + 1 is 2. - leader: '3'`",
        "    - leader: `<answer>2</answer>`",
        "    - answer so far: 2",
        "- asked besides",
        "    - geo: `Count.`",
        "- debate: 2, right; 3 generations, 44 tokens",
        "",
    ]


def test_as_many_are_shown_as_asked_for(evaluated: None, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_transcripts.run("debate", 5)
    assert capsys.readouterr().out.endswith("- debate: no answer, wrong; 0 generations, 0 tokens\n\n")


def test_all_strategies_answer_the_question_that_was_asked_for(
    evaluated: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl_atomic(
        transcripts_of("leader"), [Transcript("p1", "leader", (), "2"), Transcript("p2", "leader", (), "3")]
    )
    inspect_transcripts.run("all", 1, "2 + 1")
    assert capsys.readouterr().out.split("\n\n") == [
        "## debate", "`debate`", "**2 + 1?** (right: 3)", "- debate: no answer, wrong; 0 generations, 0 tokens",
        "## MLPO leader + team", "`leader`", "**2 + 1?** (right: 3)", "- leader: 3, right; 0 generations, 0 tokens", "",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"test\.jsonl: no question holds '5 \+ 5'"):
        inspect_transcripts.run("all", 1, "5 + 5")


def test_a_strategy_that_was_not_played_is_named_with_one_like_it(evaluated: None) -> None:
    with pytest.raises(ConfigError, match=r"debat was not evaluated here; did you mean debate\?"):
        inspect_transcripts.run("debat", 1)
    with pytest.raises(ConfigError, match="lessons was not evaluated here; there are debate"):
        inspect_transcripts.run("lessons", 1)
