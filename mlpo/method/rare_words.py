"""A question's rarer words: those that few training questions hold, so the ones that say what this question is about.

    rarity(w) = ln((1 + N) / (1 + n_w)),   n_w of N questions hold the word w      (idf, Spärck Jones 1972, smoothed)
    overlap(q, t) = the sum of rarity(w) over the words w of q that stand in the text t

A word is a run of letters and digits, in whatever case. A word that no training question holds is the rarest of all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WORD = re.compile(r"\w+")


def words_of(text: str) -> tuple[str, ...]:
    """The different words of a text, case folded, in the order of first sight."""
    return tuple(dict.fromkeys(WORD.findall(text.casefold())))


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many questions there were, and how many of them hold each word."""

    num_questions: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, questions: Iterable[str]) -> WordCounts:
        """Count the words of questions; those of training, since test questions choose nothing."""
        asked = [words_of(question) for question in questions]
        return cls(len(asked), dict(Counter(word for words in asked for word in words)))

    def rarity(self, word: str) -> float:
        """ln((1 + N) / (1 + n)): 0 for a word of every question, ln(1 + N) for a word of none."""
        return math.log((1 + self.num_questions) / (1 + self.counts.get(word.casefold(), 0)))

    def overlap(self, question: str, text: str) -> float:
        """The summed rarity of the question's words that stand in the text."""
        return sum(self.rarity(word) for word in _shared(question, text))

    def overlap_share(self, question: str, text: str) -> float:
        """The overlap as a share of the most that a text could have, from 0 to 1; 0 where no word is rare at all."""
        total = self.overlap(question, question)
        return self.overlap(question, text) / total if total > 0 else 0.0

    def rarest(self, question: str, n: int) -> tuple[str, ...]:
        """The question's `n` rarest words, rarest first, case folded; of equals the one that stands first."""
        return tuple(sorted(words_of(question), key=self.rarity, reverse=True)[:n])


def _shared(question: str, text: str) -> tuple[str, ...]:
    held = frozenset(words_of(text))
    return tuple(word for word in words_of(question) if word in held)
