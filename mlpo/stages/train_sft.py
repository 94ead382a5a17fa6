"""Stage `train_sft`: the warm start (data/demonstrations -> data/leaders/sft, data/training/train_sft.csv)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlpo.config import Params
from mlpo.layout import DEMONSTRATIONS, SFT_CURVE, SFT_LEADER
from mlpo.method.prompts import LEADER_SYSTEM
from mlpo.models.identity import model_identity
from mlpo.models.load import LoadedModel, save_leader
from mlpo.stages.resume import claim_run_folder, load_to_train, run_folder_of
from mlpo.stages.timings import stage_clock
from mlpo.store import read_jsonl
from mlpo.tracking.stage_run import stage_run
from mlpo.training.distributed import Ranks, join_ranks
from mlpo.training.run_folder import RunFolder
from mlpo.training.run_log import SFT_COLUMNS, Log, log_nothing, write_curve
from mlpo.training.sft import train_sft
from mlpo.types import Demonstration


def run(params: Params) -> None:
    """Teach the leader the form and the habit of weighing. A stopped run goes on at its last checkpoint.

    Of several processes the first does all but the training alone.

    Raises:
        ConfigError: no demonstrations or no leader, or the unfinished run was another one; nothing is written.
    """
    config, leader = params.train_sft, params.leader
    ranks = join_ranks(params.runtime.device)
    demonstrations = list(read_jsonl(DEMONSTRATIONS, Demonstration))
    if not ranks.is_main:
        _train(params, demonstrations, run_folder_of("train_sft"), ranks)
        return
    identity = {"leader": model_identity(leader.model, leader.revision)}
    run_folder = claim_run_folder("train_sft", params, config, [DEMONSTRATIONS], identity)
    outputs = [SFT_LEADER, SFT_CURVE]
    with (
        stage_clock("train_sft") as clock,
        stage_run(
            "train_sft", params, inputs=[DEMONSTRATIONS], outputs=outputs, resume_id=run_folder.run_id
        ) as tracked,
    ):
        run_folder.run_id = tracked.run_id
        trained, seconds = _train(params, demonstrations, run_folder, ranks, tracked.log)
        clock.training_seconds += seconds
        save_leader(trained, SFT_LEADER, system=LEADER_SYSTEM)
        write_curve(run_folder.curve.rows(), SFT_COLUMNS, SFT_CURVE)
    run_folder.clear()
    print(f"{SFT_LEADER}: trained on {len(demonstrations)} demonstrations")


def _train(
    params: Params, demonstrations: Sequence[Demonstration], run_folder: RunFolder, ranks: Ranks, log: Log = log_nothing
) -> tuple[LoadedModel, float]:
    """What every process does: load the leader and train it. Returns it, and the seconds of training alone."""
    leader, compute_dtype = load_to_train(params.leader.model, params.leader.revision, params, ranks)
    started = time.perf_counter()
    train_sft(
        leader,
        demonstrations,
        params.train_sft,
        seed=params.seed,
        runtime=params.runtime,
        run_folder=run_folder,
        log=log,
        compute_dtype=compute_dtype,
        ranks=ranks,
    )
    return leader, time.perf_counter() - started
