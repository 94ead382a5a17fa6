"""Stage `headroom`: what the team can win, before a leader is trained with it (SFT leader -> data/calibration)."""

from __future__ import annotations

from functools import partial
from typing import Any

from mlpo.agents.shelf import Models
from mlpo.config import Params
from mlpo.grading import is_equivalent
from mlpo.layout import CALIBRATION_PROBLEMS, HEADROOM, PROPOSALS, SFT_LEADER
from mlpo.method.baselines import solo_leader
from mlpo.method.headroom import headroom, proposal_chances
from mlpo.stages.calibration import calibration_problems, play_on_calibration
from mlpo.stages.clock import stage_clock
from mlpo.stages.entrants import Entrant, leader_sampling
from mlpo.stages.proposals import read_proposal_sets
from mlpo.store import write_json_atomic
from mlpo.tracking.runs import stage_run

INPUTS = (CALIBRATION_PROBLEMS, PROPOSALS, SFT_LEADER)
NAME = "sft_leader_solo"


def run(params: Params, *, models: Models | None = None) -> None:
    """Compare the SFT leader alone with its team's proposals on calibration problems, and warn where the team cannot pay.

    The untrained leader would not do: it cannot keep to the form, so any team would look useful.

    Raises:
        ConfigError: problems, proposals or the SFT leader are missing; nothing is written.
    """
    with (
        stage_clock("headroom") as clock,
        stage_run("headroom", params, inputs=INPUTS, outputs=[HEADROOM]) as tracked,
    ):
        found = measure(params, clock, models) if calibration_problems() else {}
        write_json_atomic(HEADROOM, found)
        if found:
            shares = {name: found[name]["share"] for name in ("winnable", "losable")}
            tracked.log_result({"n": found["n"], "alone": found["alone"], "ceiling": found["ceiling"], **shares})
    print(said(found))


def measure(params: Params, clock: Any, models: Models | None) -> dict[str, Any]:
    """The SFT leader's `headroom`, as headroom.json has it."""
    sets = read_proposal_sets(tuple(params.team), split=CALIBRATION_PROBLEMS, equivalent=is_equivalent)
    alone = partial(solo_leader, leader_sampling=leader_sampling(params), seed=params.seed, name=NAME)
    graded = play_on_calibration(params, SFT_LEADER, NAME, Entrant(alone, 1), clock, models)
    chances = proposal_chances(sets, {g.problem.id: g.correct for g in graded})
    return headroom(chances, confidence=params.evaluate.confidence)


def said(found: dict[str, Any]) -> str:
    """The result in a line, and below it the warning where there is one."""
    if not found:
        return f"{HEADROOM}: prepare.num_calibration is 0, so nobody knows whether this team can pay"
    won, lost = found["winnable"], found["losable"]
    low, high = won["interval"]
    line = (
        f"{HEADROOM}: alone the SFT leader has {found['alone']:.3f} of {found['n']} calibration problems; "
        f"asking its team can win {won['share']:.3f} [{low:.3f}, {high:.3f}] and lose {lost['share']:.3f}"
    )
    return f"{line}\nwarning: {found['warning']}" if found["warning"] else line
