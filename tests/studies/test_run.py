"""`mlpo study` end to end: real worktrees, DVC and processes; only what the stages compute is played by a script."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.studies import run as study
from mlpo.studies.costs import Cost
from mlpo.studies.plan import RunId, Step, StepId
from mlpo.studies.progress import StudyProgress

ROOT = Path(__file__).parents[2]
STAGE = '''
"""A stage by script: it says that it ran, and writes what the real one writes, with next to nothing in it."""
import json, os, sys
from pathlib import Path
import yaml
from mlpo.layout import *
from mlpo.store import CompletionStore, read_jsonl, write_jsonl_atomic
from mlpo.files import write_json_atomic
from mlpo.types import Completion, Problem, Round, Transcript

stage, agent = sys.argv[1], "".join(sys.argv[2:])
params = yaml.safe_load(PARAMS.read_text())
with open(os.environ["COUNTS"], "a") as counts:
    counts.write(f"{stage}{agent and '@' + agent} {os.environ['MLPO_VARIANT']}\\n")
PROBLEM = [Problem(f"p{n}", "basics", "sum", f"{n} + 1?", str(n + 1), "integer") for n in range(8)]

def leader(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(str(params["train_mlpo"]["steps"]))

def evaluate():
    skill = int((MLPO_LEADER / "model.safetensors").read_text())  # problems that the leader answers right
    with CompletionStore(Path(".mlpo/evaluation.jsonl")) as store:
        if "0" * 64 not in store:  # what any leader asks
            store["0" * 64] = Completion("p0", "leader", "", "stop", 1, 1)
            with open(os.environ["COUNTS"], "a") as counts:
                counts.write("asked\\n")
    for name, right in (("leader", skill), ("leader_solo", 1), ("majority_vote", 4)):
        answers = [p.target if n < right else "0" for n, p in enumerate(PROBLEM)]
        rows = [Transcript(p.id, name, (), a) for p, a in zip(PROBLEM, answers, strict=True)]
        write_jsonl_atomic(TRANSCRIPTS / f"{name}.jsonl", rows)
    rounds = {str(t): skill / 8 for t in range(params["rounds"]["num_rounds"])}
    row = {"by_round": rounds, "generations": 4, "prompt_tokens": 90, "completion_tokens": 10, "invalid_rate": 0}
    write_json_atomic(METRICS, {"strategies": {"leader": row}})

match stage:
    case "prepare":
        for path in (TEST_PROBLEMS, CALIBRATION_PROBLEMS, TRAIN_PROBLEMS, SHOT_PROBLEMS):
            write_jsonl_atomic(path, PROBLEM)
    case "reference":
        reference_of(agent).mkdir(parents=True, exist_ok=True)
    case "propose":
        write_jsonl_atomic(proposals_of(agent), [])
    case "demonstrate":
        write_jsonl_atomic(DEMONSTRATIONS, [])
        write_json_atomic(SOLO_ACCURACY, {})
    case "headroom":
        write_json_atomic(HEADROOM, {})
    case "calibrate":
        for path in (ROUTING, CONSULT_POLICY, CALIBRATION_METRICS):
            write_json_atomic(path, {})
    case "train_sft":
        leader(SFT_LEADER)
    case "train_mlpo":
        if params["train_mlpo"]["steps"] == 7:
            sys.exit("mlpo: the server is down")
        if params["train_mlpo"]["steps"] == 75:
            print("mlpo: the server is still down", file=sys.stderr)
            sys.exit(75)
        leader(MLPO_LEADER)
    case "evaluate":
        evaluate()
'''
STUDY: dict[str, Any] = {
    "title": "What steps do",
    "question": "More?",
    "base": {"train_mlpo": {"steps": 6}},
    "variants": {
        "base": {"about": "six steps"},
        "fewer": {"set": {"train_mlpo": {"steps": 2}}},
        "guest": {"set": {"rounds": {"num_rounds": 3}}, "leader": "base"},
        "broken": {"set": {"train_mlpo": {"steps": 7}}},
        "beyond": {"set": {"rounds": {"num_rounds": 4}}, "leader": "broken"},
    },
    "comparisons": [{"variant": "base", "other_strategy": "majority_vote"}],
}


def description() -> dict[str, Any]:
    """dvc.yaml's stages before `register`, with the script as their command and their only module."""
    stages: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    del stages["register"]
    for name, stage in stages.items():
        if name == "code":
            continue
        template = stage.get("do", stage)
        template["cmd"] = f"python stage.py {name}" + (" ${key}" if "do" in stage else "")
        read = (dep for dep in template["deps"] if dep.startswith("data/") and not dep.startswith("data/training"))
        template["deps"] = ["stage.py", *read]
        left_out = ("data/training", "data/report/plots")
        template["outs"] = [out for out in template.get("outs", []) if not out.startswith(left_out)]
        if name == "demonstrate":
            del template["metrics"]
    return {"vars": ["params.yaml"], "stages": stages}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with the scripted stages and the study `steps`."""
    folder = tmp_path / "checkout"
    for name in ("params.yaml", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "stage.py").write_text(STAGE)
    (folder / "mlpo").symlink_to(ROOT / "mlpo")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(description(), sort_keys=False))
    (folder / "configs/studies").mkdir(parents=True)
    (folder / "configs/studies/steps.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message", "start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    monkeypatch.setenv("COUNTS", str(tmp_path / "counts"))
    return folder


@pytest.mark.slow
def test_a_study_runs_what_is_missing_once_and_tells_what_failed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = study.run("steps", jobs=2, root=root)
    counts = root.parent / "counts"
    first = Counter(counts.read_text().splitlines())
    # of a reference DVC cannot know whether the documents changed: it is looked at in every step, and changes nothing
    references = {line for line in first if line.startswith("reference@")}
    assert references >= {f"reference@{agent} base" for agent in ("alpha", "beta", "gamma")}
    agents = {f"propose@{agent} base": 1 for agent in ("alpha", "beta", "gamma")}
    assert {line: count for line, count in first.items() if line not in references} == agents | {
        "prepare base": 1,
        "demonstrate base": 1,
        "train_sft base": 1,
        "headroom base": 1,
        "calibrate base": 1,
        "calibrate fewer": 1,
        "calibrate guest": 1,
        "train_mlpo base": 1,
        "train_mlpo fewer": 1,
        "train_mlpo broken": 1,
        "evaluate base": 1,
        "evaluate fewer": 1,
        "evaluate guest": 1,
        "asked": 1,
    }
    assert end.exit_code == 1
    assert not (root / "data").exists()

    tables = json.loads((root / "docs/studies/steps.json").read_text())
    rows = {row["name"]: row for row in tables["variants"]}
    accuracies = {name: row["accuracies"]["leader"]["value"] for name, row in rows.items() if row["accuracies"]}
    assert accuracies == {"base": 6 / 8, "fewer": 2 / 8, "guest": 6 / 8}
    assert rows["guest"]["by_round"] == [0.75] * 3
    assert rows["broken"]["failed"] == "train_mlpo: mlpo: the server is down"
    assert rows["beyond"]["failed"] == "needs train_mlpo of broken-seed0, which failed"
    differences = {(row["first"][0], row["second"][1]): row["difference"]["value"] for row in tables["comparisons"]}
    assert differences == {("fewer", "leader"): -0.5, ("guest", "leader"): 0.0, ("base", "majority_vote"): 0.25}
    # four problems of eight differ, all in one direction: 2 of 2^4 sign flips, and one of three comparisons
    assert (tables["comparisons"][0]["p"], tables["comparisons"][0]["holm_p"]) == (0.125, 0.375)
    page = (root / "docs/studies/steps.md").read_text()
    assert "| `base`: six steps | 0.750 [" in page
    assert "broken failed: train_mlpo: mlpo: the server is down" in page
    assert (root / "docs/studies/steps.csv").read_text().count("\n") == 1 + len(STUDY["variants"])

    study.run("steps", root=root)
    again = Counter(counts.read_text().splitlines()) - first
    assert {line: count for line, count in again.items() if line not in references} == {"train_mlpo broken": 1}
    assert "5 runs, 3 of 10 steps to do" in capsys.readouterr().out


@pytest.mark.slow
def test_a_study_of_which_nothing_comes_to_its_end_says_why_and_has_the_exit_code_of_the_first_that_failed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variants = {"down": {}, "guest": {"set": {"rounds": {"num_rounds": 3}}, "leader": "down"}}
    failing = STUDY | {"base": {"train_mlpo": {"steps": 75}}, "variants": variants, "comparisons": []}
    (root / "configs/studies/steps.yaml").write_text(yaml.safe_dump(failing, sort_keys=False))
    assert study.run("steps", root=root) == (75, None)
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "down-seed0: train_mlpo: mlpo: the server is still down",
        "guest-seed0: needs train_mlpo of down-seed0, which failed",
        "study steps: no run came to its end",
    ]
    assert not (root / "docs").exists()


@pytest.mark.slow
def test_a_dry_run_lists_the_runs_and_makes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.run("steps", dry_run=True, root=root).exit_code == 0
    told = capsys.readouterr().out
    assert "guest-seed0" in told
    assert "warm start, leader" in told
    assert not (root / ".mlpo/worktrees").exists()


def test_progress_foretells_by_the_estimate_and_then_by_what_was_done() -> None:
    now, said = [0.0], []
    steps = [
        Step(StepId(RunId("base", 0), part), (part,), (), (), Cost(seconds=100)) for part in ("train_sft", "evaluate")
    ]
    progress = StudyProgress(steps, jobs=1, say=said.append, clock=lambda: now[0])
    assert progress.seconds_left == 200
    progress.start(steps[0])
    now[0] = 100.0
    progress.hear(steps[0].id, "train_sft: 5 of 10 steps  loss 0.299  token accuracy 0.93  36.7 s a step, 3:03 left")
    progress.show()  # half of a step of two took 100 s, so three halves are left
    progress.end(steps[0], "")
    progress.start(steps[1])
    progress.end(steps[1], "no memory")
    assert said == [
        "[0/2] base-seed0: train_sft starts",
        "[0/2] base-seed0 train_sft: 5 of 10 steps, about 0:05:00 left",
        "[1/2] base-seed0: train_sft done in 0:01:40, about 0:01:40 left",
        "[1/2] base-seed0: evaluate starts",
        "[2/2] base-seed0: evaluate FAILED after 0:00:00: no memory",
    ]
