"""(e) Whole training steps against comlrl's MAGRPO with one agent, which is GRPO of a single model (arXiv:2508.04652).

`pip install comlrl==1.4.3` brings it; it is no dependency of the project.
"""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset

from mlpo.training.trainer_setup import quiet_libraries
from speed.contender import Work, synchronise, their_model
from speed.shape import Shape
from speed.steps import ours as ours
from speed.steps import prompt_texts

TRAIN = True


def _every_other(*completions: list[str], **_: object) -> list[float]:
    """No judgement of the text: every group carries signal."""
    return [float(i % 2) for i in range(len(completions[0]))]


def theirs(shape: Shape, device: str) -> Work:
    """One pass over the prompts, one update at its end; nothing is evaluated, logged or saved."""
    from comlrl.trainers.reinforce import MAGRPOConfig, MAGRPOTrainer

    quiet_libraries()
    loaded = their_model(device, train=True)
    data = Dataset.from_dict({"prompt": prompt_texts(shape, loaded)})

    def once() -> tuple[int, float]:
        trainer: Any = MAGRPOTrainer(
            agents=[loaded.model],
            num_agents=1,
            tokenizer=loaded.tokenizer,
            reward_func=_every_other,
            train_dataset=data,
            args=MAGRPOConfig(
                num_train_epochs=1,
                agent_learning_rate=1e-6,
                num_agents=1,
                agent_devices=str(loaded.device),
                num_generations=shape.group,
                max_new_tokens=shape.completion,
                temperature=1.0,
                top_p=1.0,
                top_k=0,
                num_turns=1,
                eval_interval=0,
                rollout_buffer_size=shape.prompts,
                advantage_normalization=False,
            ),
        )
        trainer.verbose = False
        began = time.perf_counter()
        trainer.train()
        synchronise(loaded.device)
        return shape.prompts * shape.group * shape.completion, time.perf_counter() - began

    return once
