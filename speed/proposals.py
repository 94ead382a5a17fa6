"""(c) Agents' proposals: many problems behind one few-shot prefix, against `generate` in batches of 16, unsorted."""

from __future__ import annotations

import random
from typing import Any

import torch

from mlpo.models.generate import Draw
from mlpo.types import Sampling
from speed.contender import Work, our_model, random_tokens, sampled, their_model, timed
from speed.shape import Shape

TRAIN = False
BATCH_ROWS = 16
OWN_TOKENS = (12, 44)
"""A problem's own tokens, shortest and longest: the default benchmark's in rounds 0 and 1."""
PROBLEMS_PER_G = 8
"""G here stands for the load: 8 G problems, one proposal each."""


def _prompts(shape: Shape) -> list[tuple[int, ...]]:
    rng = random.Random(0)
    shared = random_tokens(shape.prompt - OWN_TOKENS[1], 0)
    lengths = [rng.randint(*OWN_TOKENS) for _ in range(PROBLEMS_PER_G * shape.group)]
    return [shared + random_tokens(length, 1 + i) for i, length in enumerate(lengths)]


def ours(shape: Shape, device: str) -> Work:
    """The sampler, as `propose` calls it."""
    loaded = our_model(device, train=False)
    sampling = Sampling(temperature=0.7, top_p=0.95, max_tokens=shape.completion)
    draws = [Draw(prompt, sampling, i) for i, prompt in enumerate(_prompts(shape))]

    return sampled(loaded, draws)


def theirs(shape: Shape, device: str) -> Work:
    """Padded on the left, in the order they come."""
    loaded = their_model(device, train=False)
    model: Any = loaded.model
    prompts = _prompts(shape)

    def once() -> int:
        drawn = 0
        for first in range(0, len(prompts), BATCH_ROWS):
            some = prompts[first : first + BATCH_ROWS]
            longest = max(map(len, some))
            mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in some], device=loaded.device)
            ids = torch.tensor([(0,) * (longest - len(p)) + p for p in some], device=loaded.device)
            out = model.generate(
                ids, attention_mask=mask, do_sample=True, temperature=0.7, top_p=0.95, top_k=0,
                max_new_tokens=shape.completion,
            )  # fmt: skip
            drawn += int(out[:, longest:].numel())
        return drawn

    return timed(loaded.device, once)
