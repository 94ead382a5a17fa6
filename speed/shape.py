"""The shape of a benchmark: how long prompts and completions are, and how many."""

from __future__ import annotations

from dataclasses import dataclass

MICRO_BATCH_TOKENS = 8192
"""Token budget of a forward and backward pass, the same on both sides."""
MICRO_BATCH_ROWS = 8
"""TRL's default."""


@dataclass(frozen=True, slots=True)
class Shape:
    """P and C in tokens, G completions of a prompt."""

    prompt: int
    completion: int
    group: int
    prompts: int = 1
    """Distinct prompts of one repeat."""

    @property
    def token_limit(self) -> float:
        """G (P + C) / (P + G C): how many times fewer tokens a shared prompt leaves to compute."""
        return self.group * (self.prompt + self.completion) / (self.prompt + self.group * self.completion)

    @property
    def micro_batch_rows(self) -> int:
        """Padded rows of one pass of a stock trainer: its default, or half and half again until they fit the budget."""
        rows = min(MICRO_BATCH_ROWS, self.prompts * self.group)
        while rows > 1 and rows * (self.prompt + self.completion) > MICRO_BATCH_TOKENS:
            rows //= 2
        return rows
