"""The local backend on a real, tiny model: what it answers is what its weights say, and what cannot fit is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mlpo.config import ConfigError
from mlpo.inference.local import LocalBackend
from mlpo.models.chat_template import render
from mlpo.models.load import LoadedModel, load_model, save_model
from mlpo.types import Message, Request, Sampling

WORDS = ["<unk>", "<end>", "<user>", "<model>", *"abcdefghijklmnopqrstuvwxyz", "?", "lima", "quito", "bern"]
TEMPLATE = (
    "{% for m in messages %}<user> {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A random Llama of two layers and a tokenizer of whole words."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<end>", pad_token="<end>")
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            eos_token_id=1,
        )
    )
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_model(model, tokenizer, folder)
    return load_model(str(folder), device="cpu", dtype="float32")


def request(text: str, *, seed: int = 0, model: str = "geo", temperature: float = 0.0, max_tokens: int = 8) -> Request:
    return Request(f"p-{text}", model, (Message("user", text),), Sampling(temperature, 1.0, max_tokens), seed)


def test_greedy_is_what_the_model_finds_most_likely(loaded: LoadedModel) -> None:
    wanted = request("lima b ?")
    (completion,) = LocalBackend(loaded, 1024).generate([wanted])
    ids = list(render(loaded.tokenizer, wanted.messages))
    num_prompt = len(ids)
    expected: list[int] = []
    while len(expected) < 8 and 1 not in expected:
        with torch.inference_mode():
            expected.append(int(loaded.model(torch.tensor([ids + expected])).logits[0, -1].argmax()))
    assert completion.text == loaded.tokenizer.decode([i for i in expected if i != 1])
    assert (completion.prompt_tokens, completion.completion_tokens) == (num_prompt, len(expected))
    assert completion.finish_reason == ("stop" if 1 in expected else "length")
    assert (completion.problem_id, completion.model) == (wanted.problem_id, "geo")


def test_a_greedy_completion_says_how_unsure_the_model_was_where_that_is_wanted(loaded: LoadedModel) -> None:
    plain = request("lima b ?")
    wanted = replace(plain, sampling=replace(plain.sampling, entropy=True))
    with_entropy, without = LocalBackend(loaded, 1024).generate([wanted, plain])
    assert with_entropy.entropy is not None
    assert 0 < with_entropy.entropy <= math.log(len(WORDS))
    assert replace(with_entropy, entropy=None) == without


def test_a_batch_answers_as_one_by_one_and_in_order(loaded: LoadedModel) -> None:
    backend = LocalBackend(loaded, 256)
    wanted = [
        replace(request(f"{a} " * length, seed=seed, temperature=1.0, model=model), sample=seed)
        for length, a in ((9, "a"), (1, "b"), (5, "c"))
        for model in ("number", "geo")
        for seed in range(3)
    ]
    together = backend.generate(wanted)
    assert together == [backend.generate([one])[0] for one in wanted]
    assert len({c.text for c in together}) > 3


def test_each_completion_is_heard_to_grow_in_the_name_of_who_asked(loaded: LoadedModel) -> None:
    heard: dict[Request, list[str]] = {}
    backend = LocalBackend(loaded, 256, on_text=lambda asked, text: heard.setdefault(asked, []).append(text()))
    wanted = [request("lima ?"), request("b c ?", model="number"), request("a ?", temperature=1.0), request("b ?")]
    for asked, completion in zip(wanted, backend.generate(wanted), strict=True):
        assert heard[asked][-1] == completion.text
        assert len(heard[asked]) == completion.completion_tokens


def test_a_prompt_longer_than_the_context_is_refused_before_anything_runs(loaded: LoadedModel) -> None:
    ended: list[int] = []
    backend = LocalBackend(loaded, 256, on_batch=ended.append)
    fits, too_long = request("lima ?"), request("a " * 60, max_tokens=8)
    # 60 words, <user> and <model>: 62 tokens, and 8 more make 70
    expected = r"geo, problem p-a .*: the prompt's 62 tokens and max_tokens 8 make 70, over the model's context of 64"
    with pytest.raises(ConfigError, match=expected):
        backend.generate([fits, too_long])
    with pytest.raises(ConfigError, match=expected):
        backend.check(iter([fits, too_long]))
    assert ended == []
    backend.generate([fits])
    assert ended == [1]


def test_control_tokens_in_a_proposal_stay_text(loaded: LoadedModel) -> None:
    plain, attack = request("a b"), request("a <end> b")
    prompt = render(loaded.tokenizer, attack.messages)
    assert 1 not in prompt
    assert len(prompt) > len(render(loaded.tokenizer, plain.messages))
