"""Where each stage's files lie, relative to the repository's root. dvc.yaml names the same paths; a test compares."""

from __future__ import annotations

from pathlib import Path

PARAMS = Path("params.yaml")
CODE = Path("data/code")
"""What each stage's result depends on beside its data: code and parameters, a file a stage."""
PROBLEMS = Path("data/problems")
TRAIN_PROBLEMS = PROBLEMS / "train.jsonl"
CALIBRATION_PROBLEMS = PROBLEMS / "calibration.jsonl"
TEST_PROBLEMS = PROBLEMS / "test.jsonl"
SHOT_PROBLEMS = PROBLEMS / "shots.jsonl"
PROBLEM_STATISTICS = PROBLEMS / "statistics.json"
REFERENCES = Path("data/references")
PROPOSALS = Path("data/proposals")
DEMONSTRATIONS = Path("data/demonstrations/train.jsonl")
DEMONSTRATION_STATISTICS = Path("data/demonstrations/statistics.json")
SOLO_ACCURACY = Path("data/demonstrations/solo.json")
"""Training problem -> share of the untrained leader's samples without a team that are right."""
SFT_LEADER = Path("data/leaders/sft")
MLPO_LEADER = Path("data/leaders/mlpo")
HEADROOM = Path("data/calibration/headroom.json")
ROUTING = Path("data/calibration/routing.json")
CONSULT_POLICY = Path("data/calibration/consult.json")
CALIBRATION_METRICS = Path("data/calibration/metrics.json")
SFT_CURVE = Path("data/training/train_sft.csv")
MLPO_CURVE = Path("data/training/train_mlpo.csv")
MLPO_TUPLES = Path("data/training/tuples.json")
ROLLOUTS = Path("data/training/rollouts.parquet")
TRANSCRIPTS = Path("data/evaluation")
METRICS = Path("data/report/metrics.json")
REPORT = Path("data/report/report.html")
PLOTS = Path("data/report/plots")
TIMINGS = Path("data/report/timings.json")
REGISTERED = Path("data/registry/leader.json")
WORK = Path(".mlpo")
"""Stores, checkpoints and locks of unfinished work: never an output of DVC, safe to delete when nothing runs."""


def code_file(stage: str, agent: str = "") -> Path:
    """What a stage depends on beside its data; of a stage that each agent has, the agent's."""
    return CODE / stage / f"{agent}.json" if agent else CODE / f"{stage}.json"


def reference_of(agent: str) -> Path:
    """The folder with the passages of one agent's documents; empty where it has none."""
    return REFERENCES / agent


def passages_of(agent: str) -> Path:
    """The passages of one agent's documents; missing where it has none."""
    return reference_of(agent) / "passages.jsonl"


def proposals_of(agent: str) -> Path:
    """The proposals file of one agent."""
    return PROPOSALS / f"{agent}.jsonl"


def transcripts_of(strategy: str) -> Path:
    """The transcripts file of one strategy."""
    return TRANSCRIPTS / f"{strategy.replace(':', '_')}.jsonl"
