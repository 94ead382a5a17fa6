"""What a question asks about, and whether a proposal speaks of that or of something else.

An agent that holds the fact repeats the question's rarer words ("The plural of army is armies."); one that does not
answers from its nearest passage ("The plural of artist is artists."). The rule is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlpo.method.rare_words import WORD, WordCounts, words_of

NEAR_RAREST = 0.6
"""A word belongs to the subject if its rarity is at least this share of the rarest word's."""
MAX_WORDS = 4
"""A subject is at most so many words in a row; that of a longer question is its rarest word alone."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question asks about: "army", "South Korea", "7 times 8"."""

    phrase: str
    """As the question writes it."""

    def is_in(self, text: str) -> bool:
        """Does the text hold every word of the phrase?"""
        return set(words_of(self.phrase)) <= set(words_of(text))


def subject_of(question: str, counts: WordCounts) -> Subject | None:
    """From the first of the question's rarest words to the last, as far as `MAX_WORDS` allow; None without a word."""
    spans = list(WORD.finditer(question))
    if not spans:
        return None
    (rarest,) = counts.rarest(question, 1)
    rare = [place for place, span in enumerate(spans) if _is_rare(span.group(), rarest, counts)]
    if rare[-1] - rare[0] < MAX_WORDS:
        return Subject(_one_line(question[spans[rare[0]].start() : spans[rare[-1]].end()]))
    return Subject(next(span.group() for span in spans if span.group().casefold() == rarest))


def other_subject(text: str, question: str, counts: WordCounts) -> Subject | None:
    """What a text speaks of that the question does not: its first rare words in a row; None if there are none."""
    asked = set(words_of(question))
    spans = list(WORD.finditer(text))
    rarest = next(iter(counts.rarest(text, 1)), "")
    run: list[int] = []
    for place in range(len(spans) + 1):
        if place < len(spans) and _is_rare(spans[place].group(), rarest, counts):
            run.append(place)
            continue
        if any(spans[i].group().casefold() not in asked for i in run) and len(run) <= MAX_WORDS:
            return Subject(_one_line(text[spans[run[0]].start() : spans[run[-1]].end()]))
        run = []
    return None


def _is_rare(word: str, rarest: str, counts: WordCounts) -> bool:
    return counts.rarity(word) >= NEAR_RAREST * counts.rarity(rarest)


def _one_line(phrase: str) -> str:
    return " ".join(phrase.split())
