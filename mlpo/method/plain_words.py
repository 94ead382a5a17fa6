"""Words that are compared: folded, without articles and without what stands at their ends."""

from __future__ import annotations

import re
import unicodedata

OR = re.compile(r"\bor\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\A(?:the|an|a)\s+(?=\S)")
_EDGES = " \t\r\n*_`\"'“”‘’«»$.,;:!?-–—•()[]{}<>\\"


def folded(text: str) -> str:
    """Casefolded, one space for every run of spaces and hyphens, straight apostrophes."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("’", "'")
    return " ".join(re.sub(r"[-‐‑\s]+", " ", text).split())


def bare(text: str) -> str:
    """Without quotes, markup and punctuation at its ends, and without articles in front."""
    shorter = _ARTICLE.sub("", text.strip(_EDGES), count=1)
    return text if shorter == text else bare(shorter)
