"""What ends a completion: the token that a chat template puts after an assistant's turn, and those that files name."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import TemplateError

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

    from mlpo.models.load import LoadedModel

ANSWER = "fortytwo"
"""Said by the assistant of a rendered conversation; no template holds it."""


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token an answer ends with: the first control token after an assistant's content, as the template renders it.

    ChatML has <|im_end|>, Gemma <end_of_turn>, Llama 3 <|eot_id|>, whatever the tokenizer calls its eos_token. That one
    is taken where the template ends no turn or there is none.
    """
    template = tokenizer.chat_template
    found = _rendered_end(tokenizer, str(template)) if template else None
    end = tokenizer.eos_token_id if found is None else found
    return end if isinstance(end, int) else None


@lru_cache(maxsize=8)
def _rendered_end(tokenizer: PreTrainedTokenizerBase, template: str) -> int | None:
    turns = [{"role": "user", "content": "6 x 7?"}, {"role": "assistant", "content": ANSWER}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except (TemplateError, ValueError):  # who renders real messages with it says so
        return None
    _, found, after = text.rpartition(ANSWER)
    control = {number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
    control = (control | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id}
    return next((i for i in tokenizer.encode(after, add_special_tokens=False) if i in control), None) if found else None


def end_token_ids(loaded: LoadedModel) -> frozenset[int]:
    """Every token that ends a completion: the chat template's, the tokenizer's and all of the generation config's."""
    return _ends(loaded.tokenizer, getattr(loaded.model, "generation_config", None))


def named_end_token_ids(source: str, revision: str | None) -> frozenset[int]:
    """The same of a model that is not loaded; nothing where its files are not those of transformers.

    Args:
        source: a folder or a hub id.
    """
    from transformers import AutoTokenizer, GenerationConfig

    config = None
    with suppress(OSError, ValueError):
        config = GenerationConfig.from_pretrained(source, revision=revision or "main")
    try:
        return _ends(AutoTokenizer.from_pretrained(source, revision=revision), config)
    except (OSError, ValueError):
        return frozenset()


def _ends(tokenizer: PreTrainedTokenizerBase, config: GenerationConfig | None) -> frozenset[int]:
    configured = getattr(config, "eos_token_id", None)
    ids = {turn_end(tokenizer), tokenizer.eos_token_id}
    ids.update(configured if isinstance(configured, list) else [configured])
    return frozenset(int(i) for i in ids if i is not None)


def name_turn_end(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let tokenizer, configuration and generation config name the turn's end; other ends that they know stay ends.

    Programs look in different places: transformers in the generation config, vLLM in the tokenizer, others in the
    configuration.
    """
    if (end := turn_end(tokenizer)) is None:
        return
    others = sorted(_ends(tokenizer, model.generation_config) - {end})
    for config in (model.config, model.config.get_text_config(), model.generation_config):
        if config is not None:
            config.eos_token_id = [end, *others] if others else end
    tokenizer.eos_token = str(tokenizer.convert_ids_to_tokens(end))
