"""(b) A leader's roll-out: G completions of a prompt, against `generate(num_return_sequences=G)`."""

from __future__ import annotations

from typing import Any

import torch

from mlpo.models.generate import Draw
from mlpo.types import Sampling
from speed.contender import Work, our_model, random_tokens, sampled, their_model, timed
from speed.shape import Shape

TRAIN = False


def ours(shape: Shape, device: str) -> Work:
    """The sampler, as the trainer's roll-outs call it."""
    loaded = our_model(device, train=False)
    sampling = Sampling(temperature=1.0, max_tokens=shape.completion)
    draws = [
        Draw(random_tokens(shape.prompt, slot), sampling, slot * shape.group + i)
        for slot in range(shape.prompts)
        for i in range(shape.group)
    ]

    return sampled(loaded, draws)


def theirs(shape: Shape, device: str) -> Work:
    """All prompts in one call of `generate`."""
    loaded = their_model(device, train=False)
    model: Any = loaded.model
    prompts = torch.tensor([random_tokens(shape.prompt, slot) for slot in range(shape.prompts)], device=loaded.device)

    def once() -> int:
        out = model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            num_return_sequences=shape.group,
            max_new_tokens=shape.completion,
        )
        return int(out[:, shape.prompt :].numel())

    return timed(loaded.device, once)
