"""A system message where a chat template has no place for one, and a leader's own where none is given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEGIN = "{#- The system message that this leader was trained with, where none is given. -#}\n"
END = "{#- From here on the model's own template. #}\n"
"""Lines around what is put before a template. The line break after a tag belongs to it: transformers renders with
`trim_blocks`, so the model's own template begins where it always began."""
AS_A_MESSAGE = (
    "{%- if messages | selectattr('role', 'in', ['system', 'developer']) | list | length == 0 -%}\n"
    "{%- set messages = [{'role': 'system', 'content': 'SYSTEM'}] + (messages | list) -%}\n"
    "{%- endif -%}\n"
)
IN_THE_FIRST_TURN = (
    "{%- set leader_system = 'SYSTEM' -%}\n"
    "{%- if messages and messages[0]['role'] == 'system' -%}\n"
    "{%- set leader_system = messages[0]['content'] -%}\n"
    "{%- if leader_system is not string -%}\n"
    "{%- set leader_system = leader_system | map(attribute='text') | join -%}\n"
    "{%- endif -%}\n"
    "{%- set messages = messages[1:] -%}\n"
    "{%- endif -%}\n"
    "{%- if leader_system and messages and messages[0]['role'] == 'user' -%}\n"
    "{%- set leader_system = leader_system + '\\n\\n' -%}\n"
    "{%- if messages[0]['content'] is not string -%}\n"
    "{%- set leader_system = [{'type': 'text', 'text': leader_system}] -%}\n"
    "{%- endif -%}\n"
    "{%- set messages = [{'role': 'user', 'content': leader_system + messages[0]['content']}] + messages[1:] -%}\n"
    "{%- endif -%}\n"
)
"""As `in_first_turn`, for what is given and for what is not. Some servers hand contents over in parts."""


@lru_cache(maxsize=16)
def has_system_role(tokenizer: PreTrainedTokenizerBase, template: str) -> bool:
    """Whether the template writes a system message. Gemma 2's refuses one, others leave it out."""
    system = "seventeen"
    turns = [{"role": "system", "content": system}, {"role": "user", "content": "6 x 7?"}]
    try:
        return system in str(tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False))
    except (TemplateError, ValueError):
        return False


def in_first_turn(turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """A leading system message put before the first user's, with an empty line between: so Gemma 3's template does."""
    if len(turns) < 2 or (turns[0]["role"], turns[1]["role"]) != ("system", "user"):
        return [*turns]
    text = "\n\n".join(filter(None, (turns[0]["content"], turns[1]["content"])))
    return [{"role": "user", "content": text}, *turns[2:]]


def bring_system(tokenizer: PreTrainedTokenizerBase, system: str) -> None:
    """Let the tokenizer's chat template, or each of them, write this system message where none is given."""
    templates = tokenizer.chat_template
    if isinstance(templates, dict):
        tokenizer.chat_template = {name: with_system(tokenizer, one, system) for name, one in templates.items()}
    elif templates is not None:
        tokenizer.chat_template = with_system(tokenizer, templates, system)


def with_system(tokenizer: PreTrainedTokenizerBase, template: str, system: str) -> str:
    """The chat template with a default system message before it; one that has such a message gets this one instead.

    A message that is given stays as it is. What is rendered with it, before and after, is the same.
    """
    own = template.partition(END)[2] if template.startswith(BEGIN) else template
    brought = AS_A_MESSAGE if has_system_role(tokenizer, own) else IN_THE_FIRST_TURN
    literal = system.replace("\\", "\\\\").replace("'", "\\'")
    return f"{BEGIN}{brought.replace('SYSTEM', literal)}{END}{own}"
