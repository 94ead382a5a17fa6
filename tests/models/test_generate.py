"""Sampling with shared prompts gives what one prompt at a time gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from mlpo.models import prefill
from mlpo.models.generate import MIN_SHARED_PREFIX, Draw, sample_tokens
from mlpo.models.load import LoadedModel
from mlpo.models.sampling import choose_tokens, entropies_of
from mlpo.types import Sampling

GREEDY = Sampling(temperature=0.0, max_tokens=12)


def tokens(count: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(2, 97, (count,), generator=generator).tolist())


def prompts(prefix: int) -> list[tuple[int, ...]]:
    head = tokens(prefix, 0)
    return [head + tokens(count, 10 + count) for count in (3, 7, 1, 9)]


def generated(loaded: LoadedModel, draw: Draw) -> list[int]:
    """What transformers' own generate continues with."""
    loaded.model.set_attn_implementation("sdpa")
    out = loaded.model.generate(
        torch.tensor([draw.prompt]), max_new_tokens=draw.sampling.max_tokens, do_sample=False, pad_token_id=0
    )
    loaded.model.set_attn_implementation("mlpo_grouped")
    return out[0, len(draw.prompt) :].tolist()


@pytest.mark.parametrize("prefix", [0, MIN_SHARED_PREFIX + 4], ids=["nothing shared", "a shared prefix"])
def test_greedy_tokens_equal_generate(loaded: LoadedModel, prefix: int):
    draws = [Draw(p, replace(GREEDY, max_tokens=n), 0) for p, n in zip(prompts(prefix), (12, 9, 12, 5), strict=True)]
    drawn = sample_tokens(loaded, [d for d in draws for _ in range(2)], batch_tokens=90)
    expected = [generated(loaded, d) for d in draws for _ in range(2)]
    assert [list(d.token_ids) for d in drawn] == expected


def test_a_draw_depends_on_its_own_seed_alone(loaded: LoadedModel):
    sampling = Sampling(temperature=1.0, top_p=0.9, max_tokens=8)
    draws = [Draw(p, sampling, seed) for p in prompts(12) for seed in (1, 2, 3)]
    together = sample_tokens(loaded, draws, batch_tokens=4096)
    alone = [sample_tokens(loaded, [d], batch_tokens=4096)[0] for d in draws]
    assert together == alone
    assert len({d.token_ids for d in together}) > 4  # seeds matter


def test_each_draw_is_heard_to_grow_by_a_token_at_its_place(loaded: LoadedModel):
    heard: dict[int, list[str]] = {}
    draws = [Draw(p, replace(GREEDY, max_tokens=n), 0) for p, n in zip(prompts(12), (12, 9, 12, 5), strict=True)]
    drawn = sample_tokens(
        loaded, draws, batch_tokens=90, on_token=lambda place, text: heard.setdefault(place, []).append(text())
    )
    assert [heard[place][-1] for place in range(4)] == [each.text for each in drawn]
    assert [len(heard[place]) for place in range(4)] == [len(each.token_ids) for each in drawn]
    for texts in heard.values():
        assert all(later.startswith(sooner) for sooner, later in pairwise(texts))


@pytest.fixture
def unwritten_memory_is_nan() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)  # fills what torch.empty returns with NaN
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("unwritten_memory_is_nan")
def test_prompts_read_in_several_passes_are_read_as_in_one(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch):
    # Passes of at most 8 tokens have 9, 7, 3 and 1 columns: what a short prompt leaves of its row is never looked at.
    monkeypatch.setattr(prefill, "CPU_PASS_TOKENS", 8)
    draws = [Draw(p, GREEDY, 0) for p in prompts(0)]
    assert [list(d.token_ids) for d in sample_tokens(loaded, draws, batch_tokens=4096)] == [
        generated(loaded, d) for d in draws
    ]


def test_every_batch_keeps_the_token_budget(loaded: LoadedModel):
    draws = [Draw(p, GREEDY, 0) for p in prompts(0)]
    sizes: list[int] = []
    sample_tokens(loaded, draws, batch_tokens=2 * (9 + 12), on_batch=sizes.append)
    assert sizes == [2, 2]  # rows of 9 + 12 and 7 + 12 tokens, then 3 + 12 and 1 + 12


def test_a_stop_string_ends_the_text_before_it(loaded: LoadedModel):
    sampling = Sampling(max_tokens=12)
    free = sample_tokens(loaded, [Draw(prompts(0)[0], sampling, 4)], batch_tokens=4096)[0]
    third = f" {free.token_ids[2]}"
    stopped = sample_tokens(loaded, [Draw(prompts(0)[0], replace(sampling, stop=(third,)), 4)], batch_tokens=4096)[0]
    assert stopped.finish_reason == "stop"
    assert stopped.token_ids == free.token_ids[:3]
    assert stopped.text == free.text.split(third)[0]


def test_the_entropy_of_a_text_is_that_of_its_distributions(loaded: LoadedModel):
    # greedy and sampled, beside rows that want none and rows that leave the batch sooner
    kinds = [replace(GREEDY, entropy=True), replace(GREEDY, entropy=True, max_tokens=5), GREEDY]
    kinds.append(Sampling(temperature=1.0, max_tokens=7, entropy=True))
    draws = [Draw(p, sampling, 3) for p in prompts(12) for sampling in kinds]
    drawn = sample_tokens(loaded, draws, batch_tokens=4096)
    for draw, one in zip(draws, drawn, strict=True):
        expected = None
        if draw.sampling.entropy:
            with torch.inference_mode():
                logits = loaded.model(torch.tensor([[*draw.prompt, *one.token_ids]])).logits
            along = torch.distributions.Categorical(logits=logits[0, len(draw.prompt) - 1 : -1])
            expected = pytest.approx(along.entropy().mean().item(), abs=2e-4)
        assert one.entropy == expected
    wanted = [one.token_ids for draw, one in zip(draws, drawn, strict=True) if draw.sampling == kinds[0]]
    plain = [one.token_ids for draw, one in zip(draws, drawn, strict=True) if draw.sampling == kinds[2]]
    assert wanted == plain  # it changes nothing of the text


def test_no_draws_are_no_work(loaded: LoadedModel):
    assert sample_tokens(loaded, [], batch_tokens=64) == []


def test_tokens_are_drawn_with_their_probability():
    # softmax(log [0.5, 0.3, 0.2]): u in [0, 0.5) -> 0, [0.5, 0.8) -> 1, [0.8, 1) -> 2
    logits = torch.tensor([0.5, 0.3, 0.2]).log().repeat(4, 1)
    uniforms = torch.tensor([0.49, 0.51, 0.79, 0.81], dtype=torch.float64)
    assert choose_tokens(logits, [Sampling()] * 4, uniforms) == [0, 1, 1, 2]


def test_entropy_is_that_of_the_softmax():
    # softmax(log [1/2, 1/4, 1/4]): 1/2 ln 2 + 2 (1/4 ln 4) = 1.5 ln 2; of 3 equal ones ln 3
    logits = torch.tensor([[0.5, 0.25, 0.25], [7.0, 7.0, 7.0]])
    logits[0] = logits[0].log() + 5
    assert entropies_of(logits) == pytest.approx([1.5 * math.log(2), math.log(3)])


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    # top_p 0.7 keeps {0.5, 0.3}, renormalised to 0.625 and 0.375; token 2 can never be drawn
    logits = torch.tensor([0.5, 0.3, 0.2]).log().repeat(3, 1)
    uniforms = torch.tensor([0.62, 0.63, 0.999], dtype=torch.float64)
    assert choose_tokens(logits, [Sampling(top_p=0.7)] * 3, uniforms) == [0, 1, 1]


def test_a_flat_distribution_needs_the_full_sort():
    # 4,000 equal tokens: 512 candidates hold 0.128 of the mass, so the nucleus of 0.9 has 3,600 members
    drawn = {
        choose_tokens(torch.zeros(1, 4000), [Sampling(top_p=0.9)], torch.tensor([u], dtype=torch.float64))[0]
        for u in torch.linspace(0, 0.999, 50, dtype=torch.float64).tolist()
    }
    assert len(drawn) == 50


def test_greedy_and_sampled_rows_mix():
    logits = torch.tensor([0.4, 0.6]).log().repeat(2, 1)
    uniforms = torch.tensor([0.1, 0.1], dtype=torch.float64)
    assert choose_tokens(logits, [Sampling(temperature=0.0), Sampling()], uniforms) == [1, 0]


@pytest.mark.parametrize(("temperature", "u", "token"), [(1.0, 0.7, 0), (2.0, 0.7, 1), (2.0, 0.6, 0), (0.5, 0.93, 0)])
def test_a_temperature_flattens_or_sharpens_the_distribution(temperature: float, u: float, token: int):
    # 0.8 and 0.2 become 2/3 and 1/3 at temperature 2, and 16/17 and 1/17 at 1/2
    logits = torch.tensor([[0.8, 0.2]]).log()
    assert choose_tokens(logits, [Sampling(temperature)], torch.tensor([u], dtype=torch.float64)) == [token]
