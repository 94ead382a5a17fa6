"""Chat messages to prompt tokens, by the model's own chat template; what a message quotes cannot open a turn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from mlpo.config import ConfigError
from mlpo.models.system import has_system_role, in_first_turn
from mlpo.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONTROL_TOKEN = re.compile(
    r"<[|｜][^\s<>|｜]+[|｜]?>|<\w+\|>|\[\|\w+\|\]"  # Llama 3, Qwen, Phi; DeepSeek; Gemma 4; EXAONE
    r"|</?s>|<[be]os>|<(?:start|end)_of_\w+>"  # Llama 2, Mistral; Gemma
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT))\]|<</?SYS>>"  # Mistral; Llama 2
)
"""What the common families of models mark turns with, for where the tokenizer is not at hand."""


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> tuple[int, ...]:
    """Chat messages -> prompt token ids, ending where the model's turn begins.

    Control tokens written inside a message are taken as text: a proposal cannot open or close a turn. A system message
    that the template has no place for stands before the first user's.

    Raises:
        ConfigError: the template refuses the messages, or there is none.
    """
    turns = [{"role": m.role, "content": as_read(tokenizer, m.content)} for m in messages]
    try:
        if turns[0]["role"] == "system" and not has_system_role(tokenizer, tokenizer.get_chat_template()):
            turns = in_first_turn(turns)
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(
            f"the chat template of {tokenizer.name_or_path} refuses {', '.join(m.role for m in messages)}: {told}; "
            "name an instruction-tuned model"
        ) from None
    return tuple(tokenizer.encode(str(text), add_special_tokens=False))


def as_read(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A message's text as `render` puts it into a prompt, without this tokenizer's control tokens."""
    return defused(text, _control_tokens(tokenizer, str(tokenizer.chat_template)))


def defused(text: str, pattern: re.Pattern[str] = CONTROL_TOKEN) -> str:
    """The text with every control token broken after its first character, so that it is read as ordinary ones."""
    return pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)


@lru_cache(maxsize=8)
def _control_tokens(tokenizer: PreTrainedTokenizerBase, template: str) -> re.Pattern[str]:
    """Matches the tokenizer's control tokens, those its configuration gives no role too, and the template's own words.

    Llama 3 gives <|start_header_id|> no role; DeepSeek's <｜User｜> is not marked special; Llama 2's [INST] is text.
    """
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    tokens = special.union(tokenizer.all_special_tokens, CONTROL_TOKEN.findall(template))
    return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or r"(?!)")
