"""BM25 over an agent's passages: a question -> those that share most of its rarer words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from bm25s import BM25, tokenize

from mlpo.method.seeds import derive_seed
from mlpo.types import Passage

WORD = r"(?u)\b\w+\b"
"""Single digits and letters count: "7 times 8" is told from "7 times 9" by one of them."""
REMEMBERED = 65536
"""Questions whose passages are kept in memory: each is looked up for every sample, strategy and round."""


class ReferenceIndex:
    """An agent's passages, and what it finds in them (BM25 as in Lucene, k1 1.5, b 0.75; library bm25s)."""

    def __init__(self, passages: Sequence[Passage], top_k: int) -> None:
        """Build the index: some seconds for a hundred thousand passages.

        Raises:
            ValueError: no passages.
        """
        if not passages:
            raise ValueError("an index needs at least one passage")
        self._passages = tuple(passages)
        self._top_k = top_k
        self._bm25 = BM25()
        tokens = tokenize([p.text for p in passages], token_pattern=WORD, stopwords=None, show_progress=False)
        self._bm25.index(tokens, show_progress=False)
        self.look_up = lru_cache(REMEMBERED)(self._look_up)
        """The best `top_k` passages, best first; fewer where fewer share a word with the question.

        Equals are drawn by the question's hash: with the first of them, all questions that nothing here answers would
        see one and the same passage.
        """

    def score(self, question: str) -> float:
        """BM25 of the best passage; 0 if none shares a word with the question."""
        return float(self._scores(question).max())

    def _look_up(self, question: str) -> tuple[Passage, ...]:
        scores = self._scores(question)
        if not scores.any():
            return ()
        last = np.sort(scores)[-min(self._top_k, len(scores))]
        near = [int(i) for i in np.flatnonzero((scores >= last) & (scores > 0))]
        near.sort(key=lambda i: (-scores[i], derive_seed("passage", question, i)))
        return tuple(self._passages[i] for i in near[: self._top_k])

    def _scores(self, question: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        (words,) = tokenize([question], token_pattern=WORD, stopwords=None, return_ids=False, show_progress=False)
        known = [word for word in words if word in self._bm25.vocab_dict]
        if not known:
            return np.zeros(len(self._passages), dtype=np.float32)
        scores: np.ndarray[tuple[int], np.dtype[np.float32]] = self._bm25.get_scores(known)
        return scores
