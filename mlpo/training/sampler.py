"""Who draws the leader's completions, as roll-outs see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from mlpo.models.generate import Draw, Drawn


class Sampler(Protocol):
    """Holds the leader's weights and draws from them."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The leader's own."""

    def refresh(self) -> None:
        """Take over what training has changed since the last time; draws are of these weights from now on."""

    def sample(self, draws: Sequence[Draw]) -> list[Drawn]:
        """Draw every completion, in the order asked for; each follows from the weights, its prompt and its seed."""

    def close(self) -> None:
        """Give the memory back."""
