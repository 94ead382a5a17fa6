"""The stages of the pipeline, in order: what each does, the parameters it reads, and whether each agent has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class StageInfo(NamedTuple):
    """What is known of a stage before it runs."""

    meaning: str
    reads: tuple[str, ...]
    """Parameters on which its result depends, dotted; "{agent}" is the agent of a stage that each agent has."""
    of_each_agent: bool = False


STAGES: Mapping[str, StageInfo] = {
    "prepare": StageInfo(
        "Benchmark -> shots, train, calibration and test problems.",
        ("seed", "prepare"),
    ),
    "reference": StageInfo(
        "The documents that one agent alone can look up.",
        ("team.{agent}.reference", "prepare"),
        of_each_agent=True,
    ),
    "propose": StageInfo(
        "One agent answers every problem.",
        ("seed", "team.{agent}", "rounds.tell_certainty", "propose", "runtime"),
        of_each_agent=True,
    ),
    "demonstrate": StageInfo(
        "Verified corrections for the warm start.",
        ("seed", "team", "leader", "rounds.share", "rounds.agreement_samples", "demonstrate", "runtime"),
    ),
    "train_sft": StageInfo(
        "Warm start: the leader imitates the demonstrations.",
        ("seed", "leader", "train_sft", "runtime"),
    ),
    "headroom": StageInfo(
        "What the team can win, before a leader is trained with it.",
        ("seed", "team", "leader", "rounds.max_draft_tokens", "evaluate.confidence", "runtime"),
    ),
    "train_mlpo": StageInfo(
        "The leader learns to use its team's proposals.",
        ("seed", "team", "rounds", "train_mlpo", "runtime"),
    ),
    "calibrate": StageInfo(
        "What is chosen for a leader, on calibration problems.",
        (
            *("seed", "team", "leader", "rounds", "consult"),
            *("evaluate.confidence", "evaluate.bootstrap_samples", "runtime"),
        ),
    ),
    "evaluate": StageInfo(
        "Every strategy on the test problems.",
        ("seed", "team", "leader", "rounds", "consult", "evaluate", "runtime"),
    ),
    "register": StageInfo(
        "The leader as a registered version.",
        (
            *("seed", "prepare.benchmark", "team", "leader", "rounds", "consult"),
            *("train_mlpo.group_size", "evaluate", "register"),
        ),
    ),
}
