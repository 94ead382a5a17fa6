"""Stage `headroom`: what the team can win, before a leader is trained with it (SFT leader -> data/calibration)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from mlpo.config import Params
from mlpo.equivalence import is_equivalent
from mlpo.evaluation.contest import Entrant, leader_sampling
from mlpo.files import write_json_atomic
from mlpo.inference.model_pool import Models
from mlpo.layout import CALIBRATION_PROBLEMS, HEADROOM, PROPOSALS, SFT_LEADER
from mlpo.method.headroom import headroom, proposal_chances
from mlpo.method.strategies.baselines import solo_leader
from mlpo.report.headroom import before_training_sentence
from mlpo.stages.calibration import calibration_problems, check_leader, play_on_calibration
from mlpo.stages.timings import StageClock, stage_clock
from mlpo.team.proposals import read_proposal_sets
from mlpo.tracking.stage_run import stage_run

INPUTS = (CALIBRATION_PROBLEMS, PROPOSALS, SFT_LEADER)
NAME = "sft_leader_solo"


def run(params: Params, *, models: Models | None = None) -> None:
    """Compare the SFT leader alone with its team's proposals on calibration problems; warn of a team that cannot pay.

    The untrained leader would not do: it cannot keep to the form, so any team would look useful.

    Raises:
        ConfigError: problems, proposals or the SFT leader are missing; nothing is written.
    """
    check_leader(SFT_LEADER, "train_sft")
    with (
        stage_clock("headroom") as clock,
        stage_run("headroom", params, inputs=INPUTS, outputs=[HEADROOM]) as tracked,
    ):
        found = measure(params, clock, models) if calibration_problems() else {}
        write_json_atomic(HEADROOM, found)
        if found:
            shares = {name: found[name]["share"] for name in ("winnable", "losable")}
            tracked.log_result({"n": found["n"], "alone": found["alone"], "ceiling": found["ceiling"], **shares})
    print(f"{HEADROOM}: {before_training_sentence(found)}")
    if found and found["warning"]:
        print(f"warning: {found['warning']}")


def measure(params: Params, clock: StageClock, models: Models | None) -> dict[str, Any]:
    """The SFT leader's `headroom`, as headroom.json has it."""
    sets = read_proposal_sets(tuple(params.team), split=CALIBRATION_PROBLEMS, equivalent=is_equivalent)
    alone = partial(solo_leader, leader_sampling=leader_sampling(params), seed=params.seed, name=NAME)
    graded = play_on_calibration(params, SFT_LEADER, NAME, Entrant(alone, 1), clock, models)
    chances = proposal_chances(sets, {g.problem.id: g.correct for g in graded})
    return headroom(chances, confidence=params.evaluate.confidence)


def before_training() -> dict[str, Any]:
    """What the stage found out; {} where it has not run."""
    found: dict[str, Any] = json.loads(HEADROOM.read_text(encoding="utf-8")) if HEADROOM.is_file() else {}
    return found
