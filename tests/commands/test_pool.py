"""`mlpo pool`: transcripts of several checkouts are graded again and pooled by problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.commands import pool
from mlpo.config import ConfigError, Params, raw_params
from mlpo.config.overrides import merge
from mlpo.evaluation.graded import read_scores
from mlpo.evaluation.policy import write_policy
from mlpo.layout import CONSULT_POLICY, METRICS, PARAMS, TEST_PROBLEMS, transcripts_of
from mlpo.method.confidence import ConfidenceMap
from mlpo.method.consult_policy import ConsultPolicy
from mlpo.store import read_jsonl, write_jsonl_atomic
from mlpo.types import Completion, Problem, Round, Transcript


def checkout(
    root: Path, answers: Mapping[str, str], *, first: int = 0, seed: int = 0, changes: Mapping[str, Any] | None = None
) -> Path:
    """A checkout whose strategies gave `answers`, one digit a problem: problem n asks for n + 1."""
    root.mkdir()
    raw = merge(raw_params(Path(__file__).parents[2] / PARAMS), {"seed": seed, **(changes or {})})
    (root / PARAMS).write_text(yaml.safe_dump(raw), encoding="utf-8")
    problems: list[Problem] = []
    for name, digits in answers.items():
        given = [Transcript(f"p{first + n}", name, (), digit) for n, digit in enumerate(digits)]
        write_jsonl_atomic(root / transcripts_of(name), given)
        numbers = range(first, first + len(digits))
        problems = [Problem(f"p{n}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in numbers]
    write_jsonl_atomic(root / TEST_PROBLEMS, problems)
    return root


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Problems 0 to 3 in one run, 2 to 5 in the other."""
    one = checkout(tmp_path / "one", {"leader": "1234", "majority_vote": "1200", "debate": "0000"})
    two = checkout(tmp_path / "two", {"leader": "3006", "majority_vote": "3456"}, first=2, seed=1)
    return [one, two]


def test_runs_are_pooled_by_problem(places: list[Path], params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    pool.run(params, [places[0], places[1] / METRICS])
    shown = capsys.readouterr().out
    # leader: p0, p1, p2 and p5 always, p3 half, p4 never: 4.5 / 6; the vote: p2 and p3 half, the others always: 5 / 6
    [leader] = [line.split() for line in shown.splitlines() if line.strip().startswith("MLPO leader + team")]
    [vote] = [line.split() for line in shown.splitlines() if line.strip().startswith("majority vote")]
    assert leader[4] == "0.750"
    assert leader[-2:] == ["0.500", "1.000"]  # from run to run
    assert vote[2] == "0.833"
    assert vote[-4:-3] == ["-0.083"]
    assert "6 test problems, 2 runs pooled by problem" in shown
    assert "left out: debate" in shown


def test_a_lock_beside_a_worktree_is_no_run_and_markdown_and_picture_say_the_same(
    places: list[Path], params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.run(params, [*places, tmp_path / "one.lock"], markdown=True, picture=tmp_path / "docs" / "accuracy.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "| strategy | accuracy | 95 % interval | runs: low to high | leader + team minus it | 95 % interval | Holm p |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    assert lines[2].startswith("| majority vote | 0.833 | [")
    # the two differ by +0.5 on p2 and by -1 on p4: each of the 4 ways to flip their signs is as far from 0
    assert lines[2].endswith("| 1.000 |")
    assert lines[3].startswith("| **MLPO leader + team** | 0.750 | [")
    assert "| 0.500 to 1.000 |" in lines[3]
    assert (tmp_path / "docs" / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_pooled_is_named(places: list[Path], params: Params, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/data/evaluation: no transcripts; run `mlpo evaluate` there"):
        pool.run(params, [checkout(tmp_path / "none", {})])
    checkout(tmp_path / "three", {"debate": "1"}, seed=2)
    with pytest.raises(ConfigError, match="strategy leader is not in every evaluation"):
        pool.run(params, [*places, tmp_path / "three"])
    write_jsonl_atomic(places[1] / TEST_PROBLEMS, list[Problem]())
    with pytest.raises(ConfigError, match=r"leader.jsonl: not the problems of data/problems/test.jsonl"):
        pool.run(params, places)


def test_only_seeds_of_the_first_experiment_are_pooled(
    places: list[Path], params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool.run(params, places)
    alone = capsys.readouterr().out
    shorter = checkout(tmp_path / "short", {"leader": "0"}, seed=2, changes={"train_mlpo": {"steps": 2}})
    again = checkout(
        tmp_path / "again",
        {"leader": "0"},
        seed=1,
        changes={"runtime": {"device": "cpu"}, "evaluate": {"rivals": ["debate"]}},
    )
    pool.run(params, [*places, shorter, again, places[0]])
    assert capsys.readouterr().out == alone + "".join(
        [
            f"left out: {shorter}: other parameters than {places[0]}: train_mlpo.steps\n",
            f"left out: {again}: seed 1, as {places[1]}\n",
            f"left out: {places[0]}: seed 0, as {places[0]}\n",
        ]
    )


def test_p_is_corrected_for_all_rivals_and_the_oracle_is_none(params: Params, tmp_path: Path) -> None:
    right, wrong = "123456789", "000000000"
    answers = {
        "leader": right,
        "oracle_any": wrong,
        "majority_vote": wrong,
        "leader_solo": "123450000",
        "debate": right,
    }
    scores = {name: [run] for name, run in read_scores(checkout(tmp_path / "one", answers)).items()}
    exact = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"bootstrap_samples": 1000})})
    p = {row.name: row.holm_p for row in pool.rows_of(exact, scores)}
    # sign flips of 9 and of 4 differences, all of one sign: 2 in 2^9 and 2 in 2^4; Holm: times 3 and times 2
    assert p.pop("majority_vote") == pytest.approx(3 * 2 / 2**9, abs=1e-5)
    assert p.pop("leader_solo") == pytest.approx(2 * 2 / 2**4, abs=1e-5)
    assert p == {"leader": None, "oracle_any": None, "debate": 1.0}


def unsure(root: Path, *, first: int = 0, seed: int = 0) -> Path:
    """Two problems: the leader alone is sure and right, then unsure and wrong; with its team it is right twice."""
    place = checkout(root, {"leader": "00", "leader_solo": "00"}, first=first, seed=seed)
    line = ConfidenceMap(((0.0, 1.0), (1.0, 0.0)))
    write_policy(ConsultPolicy("entropy", line, line, line, 0.5, 0.5), place / CONSULT_POLICY)
    solo, team = [], []
    for n, (digit, doubt) in enumerate([(str(first + 1), 0.2), ("0", 0.9)]):
        pid, right = f"p{first + n}", str(first + n + 1)
        alone = Completion(pid, "leader", f"<answer>{digit}</answer>", "stop", 9, 1, entropy=doubt)
        draft = Completion(pid, "leader", f"<answer>{right}</answer>", "stop", 19, 1, entropy=0.1)
        agent = Completion(pid, "alpha", right, "stop", 19, 1)
        solo.append(Transcript(pid, "leader_solo", (Round((), alone, digit),), digit))
        team.append(Transcript(pid, "leader", (Round((agent,), draft, right),), right))
    write_jsonl_atomic(place / transcripts_of("leader_solo"), solo)
    write_jsonl_atomic(place / transcripts_of("leader"), team)
    return place


def test_asking_when_unsure_is_replayed_by_each_runs_policy(
    params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [unsure(tmp_path / "one"), unsure(tmp_path / "two", first=2, seed=1)]
    pool.run(params, runs)
    shown = capsys.readouterr().out
    [asked] = [line.split() for line in shown.splitlines() if line.strip().startswith("MLPO leader, team if")]
    assert asked[5] == "1.000"  # alone it is right on half of them
    # half of the questions ask: 10 tokens alone and 40 with the team, against 40 always: (10 + 50) / 80
    assert "leader_consult is replayed by each run's policy: 0.50 of the questions ask, at 0.75 of the tokens" in shown
    team = [list(read_jsonl(run / transcripts_of("leader"), Transcript)) for run in runs]
    for run, transcripts in zip(runs, team, strict=True):  # a run that was played, asking on every question
        played = [replace(t, strategy="leader_consult") for t in transcripts]
        write_jsonl_atomic(run / transcripts_of("leader_consult"), played)
    pool.run(params, runs)
    shown = capsys.readouterr().out
    assert "leader_consult is played by each run's policy: 1.00 of the questions ask, at 1.00 of the tokens" in shown
    for run in runs:
        (run / transcripts_of("leader_consult")).unlink()
    (runs[1] / CONSULT_POLICY).write_text("null")
    pool.run(params, runs)
    assert "if unsure" not in capsys.readouterr().out  # one run has no policy
