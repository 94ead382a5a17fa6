"""A leader small enough to train in a blink: a random Llama of two layers that reads and writes characters."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mlpo.models.load import LoadedModel, load_model, save_model
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.types import Completion, Problem

SPECIALS = ["<end>", "<user>", "<model>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<model>' if m['role'] == 'assistant' else '<user>' }}{{ m['content'] }}"
    "{{ '<end>' if m['role'] == 'assistant' else '' }}{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny leader lies, as any other model would."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny(folder)
    return folder


def save_tiny(folder: Path, *, sayings: Sequence[str] = (), width: int = 32) -> None:
    """Save a tiny leader; its sayings are single tokens, so that a random model says them now and then."""
    vocabulary = {token: i for i, token in enumerate([*SPECIALS, *string.printable[:97], *sayings])}
    characters = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    characters.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=characters, eos_token="<end>", pad_token="<end>", additional_special_tokens=SPECIALS[1:]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=width, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=0, bos_token_id=None, tie_word_embeddings=True,
        initializer_range=0.3,
    )  # fmt: skip
    save_model(LlamaForCausalLM(config), tokenizer, folder)


@pytest.fixture
def tiny(tiny_folder: Path) -> LoadedModel:
    """A fresh tiny leader: tests change its weights."""
    return load_model(str(tiny_folder), device="cpu", dtype="float32")


@pytest.fixture
def make_prompts() -> Callable[[int], list[TrainingPrompt]]:
    """`n` prompts: of every four, one is solo."""

    def prompt(number: int) -> TrainingPrompt:
        problem = Problem(f"p{number}", "basics", "sum", f"{number} + 1?", str(number + 1), "integer")
        if number % 4 == 3:
            return TrainingPrompt(problem)
        said = [str(number + 1), str(number), "no idea"]
        proposals = (
            Completion(problem.id, agent, text, "stop", 9, 2)
            for agent, text in zip(("geo", "number", "word"), said, strict=True)
        )
        return TrainingPrompt(problem, tuple(proposals), 1)

    return lambda num: [prompt(number) for number in range(num)]
