"""Contamination: test problems that a model may have met in training, word for word or in part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from mlpo.types import Problem

NUM_WORDS = 13
"""Length of a shared passage that counts, as in arXiv:2005.14165, appendix C."""
MAX_TRAINING_PROBLEMS = 10
"""A passage of more training problems than this is the benchmark's own wording, not a leak; from the same appendix."""

_WORD = re.compile(r"[^\W_]+")


def contaminated(train: Iterable[Problem], test: Iterable[Problem]) -> tuple[Problem, ...]:
    """The test problems whose question shares a passage of 13 words with a training problem's, in the order given.

    Case, spacing and punctuation do not count; a question of fewer words has no passage.
    """
    seen = Counter(passage for problem in train for passage in set(_passages(problem.question)))
    telling = {passage for passage, count in seen.items() if count <= MAX_TRAINING_PROBLEMS}
    return tuple(p for p in test if any(passage in telling for passage in _passages(p.question)))


def _passages(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return zip(*(words[start:] for start in range(NUM_WORDS)), strict=False)
