"""How long a benchmark's questions are, in tokens that are estimated from characters: no tokenizer is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlpo.benchmarks import BENCHMARKS
from mlpo.config import Params
from mlpo.stages.prepare import draw_splits

CHARACTERS_PER_TOKEN = 3.5
"""Between LaTeX (less) and prose (more), over the tokenizers of today's models."""
HUB_CHARACTERS = {
    "bbh": (500, 2500),
    "gsm8k": (240, 850),
    "math": (190, 4300),
    "math500": (190, 4300),
    "mmlu": (460, 4790),
}
"""Mean and longest question, where rows come when the run does; measured on the packages, guessed for bbh."""
SOLUTION_CHARACTERS = 250
"""Of a worked example whose rows are not here."""


@dataclass(frozen=True, slots=True)
class Questions:
    """How long a benchmark's questions are, tokens."""

    mean: int
    longest: int
    solution: int
    source: str


def tokens_of(characters: float) -> int:
    """Tokens of so many characters, estimated."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def read_questions(params: Params) -> Questions:
    """Measured on the splits that `prepare` would draw, or known of a benchmark that comes from the hub.

    Raises:
        ConfigError: the rows are not here, or not what the parameters ask for.
    """
    prepare = params.prepare
    if prepare.source == "hub" and prepare.benchmark in HUB_CHARACTERS:
        mean, longest = HUB_CHARACTERS[prepare.benchmark]
        return Questions(tokens_of(mean), tokens_of(longest), tokens_of(SOLUTION_CHARACTERS), "hub, when it runs")
    splits = draw_splits(BENCHMARKS[prepare.benchmark].load(prepare), prepare, params.seed)
    problems = [*splits.train, *splits.calibration, *splits.test]
    asked = [len(p.question) for p in problems]
    solved = sum(len(p.solution or p.target) for p in problems) / len(problems)
    return Questions(tokens_of(sum(asked) / len(asked)), tokens_of(max(asked)), tokens_of(solved), prepare.source)
