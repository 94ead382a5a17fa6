"""Demonstrations as token ids: which are read, and which are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from mlpo.config import ConfigError
from mlpo.models.chat_template import render
from mlpo.models.ends import turn_end
from mlpo.types import Demonstration, Message

IGNORED = -100
"""The label of a token that is read, not learned."""


@dataclass(frozen=True, slots=True)
class EncodedDemonstration:
    """A prompt exactly as it is when sampling, and what should be answered, end token included."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens read."""
        return len(self.prompt) + len(self.completion)

    @property
    def labels(self) -> list[int]:
        """One per token: the completion's own, `IGNORED` for the prompt."""
        return [IGNORED] * len(self.prompt) + list(self.completion)


def encode_demonstration(tokenizer: PreTrainedTokenizerBase, demonstration: Demonstration) -> EncodedDemonstration:
    """Prompt by the chat template, completion as it is: a template that drops `<think>` from old turns cannot touch it.

    The completion ends as the template ends an assistant's turn.

    Raises:
        ConfigError: nothing is left to learn, the tokenizer changes the completion's text, or the template writes the
            prompt differently once an answer follows, so that training and sampling would not see the same.
    """
    prompt = render(tokenizer, demonstration.messages)
    text = demonstration.completion
    ids = tuple(tokenizer.encode(text, add_special_tokens=False))
    where = f"demonstration of problem {demonstration.problem_id} ({demonstration.kind})"
    if not ids:
        raise ConfigError(f"{where}: the completion is empty, so every token would be masked; remove the row")
    if tokenizer.decode(list(ids), clean_up_tokenization_spaces=False) != text:
        raise ConfigError(f"{where}: the tokenizer does not give back the completion; it cannot be learned as written")
    answered = render(tokenizer, (*demonstration.messages, Message("assistant", text)))
    if answered[: len(prompt)] != prompt:
        raise ConfigError(
            f"{where}: the leader's chat template changes the prompt when an answer follows it; use a model whose "
            "template keeps the prompt as a prefix"
        )
    if (end := turn_end(tokenizer)) is None:
        raise ConfigError(
            "the leader's chat template ends no turn and its tokenizer has no eos_token, so a completion could never "
            "end; set one"
        )
    return EncodedDemonstration(prompt, (*ids, end))


def check_context(encoded: Sequence[EncodedDemonstration], max_context: int) -> None:
    """Refuse demonstrations that the leader cannot read whole.

    Raises:
        ConfigError: some are longer than the context.
    """
    over = [e.num_tokens for e in encoded if e.num_tokens > max_context]
    if over:
        raise ConfigError(
            f"train_sft: {len(over)} of {len(encoded)} demonstrations pass the leader's context of {max_context} "
            f"tokens (the longest has {max(over)}); lower the agents' sampling.max_tokens or rounds.max_draft_tokens"
        )
