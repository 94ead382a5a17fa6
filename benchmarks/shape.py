"""The shape of a benchmark: how long prompts and completions are, and how many."""

from __future__ import annotations

from dataclasses import dataclass


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
