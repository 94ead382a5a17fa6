"""Stage `train_sft`: the warm start (data/demonstrations -> data/leaders/sft, data/training/train_sft.csv)."""

from __future__ import annotations

import time

from mlpo.config import Params
from mlpo.layout import DEMONSTRATIONS, SFT_CURVE, SFT_LEADER
from mlpo.models.load import model_identity, save_model
from mlpo.stages.clock import stage_clock
from mlpo.stages.unfinished import claim_workspace, load_to_train
from mlpo.store import read_jsonl
from mlpo.tracking.runs import stage_run
from mlpo.training.journal import SFT_COLUMNS, write_curve
from mlpo.training.sft import train_sft
from mlpo.types import Demonstration


def run(params: Params) -> None:
    """Teach the leader the form and the habit of weighing. A stopped run goes on at its last checkpoint.

    Raises:
        ConfigError: no demonstrations or no leader, or the unfinished run was another one; nothing is written.
    """
    config, leader = params.train_sft, params.leader
    demonstrations = list(read_jsonl(DEMONSTRATIONS, Demonstration))
    identity = {"leader": model_identity(leader.model, leader.revision)}
    workspace = claim_workspace("train_sft", params, config, [DEMONSTRATIONS], identity)
    outputs = [SFT_LEADER, SFT_CURVE]
    with (
        stage_clock("train_sft") as clock,
        stage_run("train_sft", params, inputs=[DEMONSTRATIONS], outputs=outputs, resume_id=workspace.run_id) as tracked,
    ):
        workspace.run_id = tracked.run_id
        loaded, compute_dtype = load_to_train(leader.model, leader.revision, params)
        started = time.perf_counter()
        train_sft(
            loaded,
            demonstrations,
            config,
            seed=params.seed,
            runtime=params.runtime,
            workspace=workspace,
            log=tracked.log,
            compute_dtype=compute_dtype,
        )
        clock.training_seconds += time.perf_counter() - started
        save_model(loaded.model, loaded.tokenizer, SFT_LEADER)
        write_curve(workspace.curve.rows(), SFT_COLUMNS, SFT_CURVE)
    workspace.clear()
    print(f"{SFT_LEADER}: trained on {len(demonstrations)} demonstrations")
