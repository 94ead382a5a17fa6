"""A packed group has the log-probabilities, entropies and gradients of its completions one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import GptOssConfig, GptOssForCausalLM

from mlpo.config import ConfigError
from mlpo.models.load import LoadedModel
from mlpo.models.packed import Group, pack, packed_logprobs
from tests.models.conftest import SHAPE, as_loaded

TEMPERATURE = 0.9


def tokens(count: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, 97, (count,), generator=generator).tolist())


GROUPS = [
    Group(tokens(12, 1), (tokens(1, 2), tokens(5, 3), tokens(3, 4))),
    Group(tokens(15, 5), (tokens(4, 6),)),  # G = 1
    Group(tokens(9, 7), (tokens(1, 8), tokens(1, 9), tokens(10, 10), tokens(2, 11))),
]


def one_by_one(loaded: LoadedModel, group: Group, completion: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies by a plain forward of prompt + completion."""
    loaded.model.set_attn_implementation("eager")
    logits = loaded.model(torch.tensor([group.prompt + completion])).logits[0] / TEMPERATURE
    loaded.model.set_attn_implementation("mlpo_grouped")
    logprobs = logits.log_softmax(-1)[len(group.prompt) - 1 : -1]
    return logprobs[torch.arange(len(completion)), list(completion)], -(logprobs.exp() * logprobs).sum(-1)


def gradients(loaded: LoadedModel, loss: Tensor) -> list[Tensor]:
    loaded.model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in loaded.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("budget", [28, 400], ids=["a group a batch", "all in one batch"])
def test_packed_equals_one_by_one(loaded: LoadedModel, budget: int):
    packed_loss = torch.zeros(())
    plain_loss = torch.zeros(())
    seen = []
    for batch in pack(GROUPS, budget):
        found = packed_logprobs(loaded.model, batch, temperature=TEMPERATURE)
        for row, (g, k) in enumerate(batch.index):
            completion = GROUPS[g].completions[k]
            logprobs, entropy = one_by_one(loaded, GROUPS[g], completion)
            length = len(completion)
            assert found.mask_NT[row].tolist() == [t < length for t in range(found.mask_NT.shape[1])]
            torch.testing.assert_close(found.logprobs_NT[row, :length], logprobs, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found.entropy_NT[row, :length], entropy, rtol=1e-4, atol=1e-5)
            weight = 1.0 + g + k  # every completion counts differently
            packed_loss = packed_loss + weight * found.logprobs_NT[row].sum()
            plain_loss = plain_loss + weight * logprobs.sum()
            seen.append((g, k))
    assert sorted(seen) == [(g, k) for g, group in enumerate(GROUPS) for k in range(len(group.completions))]
    for ours, plain in zip(gradients(loaded, packed_loss), gradients(loaded, plain_loss), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def test_a_completion_does_not_see_its_siblings(loaded: LoadedModel):
    batches = [
        pack([Group(GROUPS[0].prompt, (other, tokens(6, 20)))], 64)[0] for other in (tokens(5, 21), tokens(5, 22))
    ]
    first, second = (packed_logprobs(loaded.model, batch).logprobs_NT[1] for batch in batches)
    torch.testing.assert_close(first, second)


def test_attention_sinks_are_refused_before_anything_is_computed_wrongly():
    config = GptOssConfig(
        **SHAPE, num_local_experts=2, num_experts_per_tok=1, layer_types=["full_attention"] * 2, pad_token_id=0
    )
    loaded = as_loaded(lambda: GptOssForCausalLM(config))
    with pytest.raises(ConfigError, match=r"attention has sinks.*name another model"):
        packed_logprobs(loaded.model, pack(GROUPS, 400)[0])


def test_a_group_over_the_budget_is_refused_with_the_parameter_to_raise():
    with pytest.raises(ValueError, match=r"group of 21 tokens.*micro_batch_tokens = 20; raise it to 21"):
        pack(GROUPS[:1], 20)


@pytest.mark.parametrize("group", [Group((), ((1,),)), Group((1,), ()), Group((1,), ((), (2,)))])
def test_an_empty_prompt_or_completion_is_refused(group: Group):
    with pytest.raises(ValueError, match="empty prompt or completion"):
        pack([group], 100)
