"""The chat templates of common families, around a tokenizer that reads characters."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from mlpo.models.load import LoadedModel


class Family(NamedTuple):
    """A template, the control tokens it writes and the one that ends a turn."""

    file: str
    end: str
    eos: str
    bos: str
    special: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    """Tokens that the tokenizer does not mark as special."""

    @property
    def template(self) -> str:
        """Jinja."""
        return (Path(__file__).parent / "chat_templates" / f"{self.file}.jinja").read_text(encoding="utf-8")


TURNS = ("<start_of_turn>", "<end_of_turn>")
ROLES = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
HEADERS = ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
GEMMA_2 = Family("gemma_2", "<end_of_turn>", "<eos>", "<bos>", plain=TURNS)
PHI_3 = Family("phi_3", "<|end|>", "<|endoftext|>", "<s>", ROLES)
FAMILIES = {
    "chatml": Family("chatml", "<|im_end|>", "<|im_end|>", "<|im_start|>"),
    "gemma 2": GEMMA_2,
    "gemma 3": GEMMA_2._replace(file="gemma_3"),
    "llama 3": Family("llama_3", "<|eot_id|>", "<|end_of_text|>", "<|begin_of_text|>", HEADERS),
    "llama 2": Family("llama_2", "</s>", "</s>", "<s>"),
    "phi 3": PHI_3,
    "one that leaves system messages out": Family("leaves_system_out", "</s>", "</s>", "<s>"),
    "one that ends no turn": Family("ends_no_turn", "</s>", "</s>", "<s>"),
}


def tokenizer_of(family: Family, folder: Path) -> PreTrainedTokenizerBase:
    """A tokenizer of characters and the family's tokens, saved and loaded again."""
    vocabulary = {c: i for i, c in enumerate([*string.printable, "?unknown?"])}
    characters = Tokenizer(models.WordLevel(vocabulary, unk_token="?unknown?"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    characters.decoder = decoders.Fuse()
    special = dict.fromkeys((family.eos, family.bos, *family.special), True)
    tokens = special | dict.fromkeys(family.plain, False)
    characters.add_tokens([AddedToken(token, special=is_special) for token, is_special in tokens.items()])
    named = {"eos_token": family.eos, "bos_token": family.bos, "pad_token": family.eos}
    made = PreTrainedTokenizerFast(tokenizer_object=characters, **named)
    made.chat_template = family.template
    made.save_pretrained(folder)
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return loaded


def leader_of(family: Family, folder: Path, **generation: Any) -> LoadedModel:
    """A random leader of this family, whose configuration says of ends what the tokenizer does."""
    tokenizer = tokenizer_of(family, folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    model.generation_config.update(**generation)
    return LoadedModel(model, tokenizer, "random", torch.device("cpu"), torch.float32)
