"""`mlpo inspect transcripts`: what strategies did for some test problems (data/evaluation -> screen)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mlpo.config import ConfigError
from mlpo.equivalence import is_equivalent
from mlpo.layout import TEST_PROBLEMS, TRANSCRIPTS, transcripts_of
from mlpo.method.metrics.evaluation import Graded, grade
from mlpo.report.rows import in_reading_order, strategy_label
from mlpo.report.transcript import transcript_markdown
from mlpo.store import read_jsonl
from mlpo.suggestion import suggestion
from mlpo.types import Problem, Transcript

EVERY = "all"
"""Instead of a strategy's name: every strategy that was played, one after the other."""


def run(strategy: str, number: int, words: str = "") -> None:
    """Print the first `number` transcripts of a strategy as Markdown; those of `EVERY` under a heading each.

    Args:
        words: only problems whose question holds them.
    Raises:
        ConfigError: the strategy was not evaluated here, and the message names one like it; or no question fits.
    """
    problems = {p.id: p for p in read_jsonl(TEST_PROBLEMS, Problem) if words.casefold() in p.question.casefold()}
    if not problems:
        raise ConfigError(f"{TEST_PROBLEMS}: no question holds {words!r}")
    for name in _played() if strategy == EVERY else [strategy]:
        if strategy == EVERY:
            print(f"## {strategy_label(name)}\n\n`{name}`\n")
        for graded in islice(_transcripts(name, problems, everything=not words), number):
            print(transcript_markdown(graded), end="\n\n")


def _played() -> list[str]:
    """The strategies whose transcripts are here, by the names they have in metrics.json."""
    first = (next(iter(read_jsonl(file, Transcript)), None) for file in TRANSCRIPTS.glob("*.jsonl"))
    return in_reading_order(transcript.strategy for transcript in first if transcript)


def _transcripts(strategy: str, problems: dict[str, Problem], *, everything: bool) -> Iterator[Graded]:
    path = transcripts_of(strategy)
    if not path.is_file():
        played = sorted(file.stem for file in TRANSCRIPTS.glob("*.jsonl"))
        mend = suggestion(path.stem, played)
        raise ConfigError(f"{path}: {strategy} was not evaluated here; {mend} (see evaluate.rivals)")
    for transcript in read_jsonl(path, Transcript):
        if transcript.problem_id in problems:
            yield grade(transcript, problems[transcript.problem_id], equivalent=is_equivalent)
        elif everything:
            raise ConfigError(f"{path}: not the problems of {TEST_PROBLEMS}; run `mlpo evaluate` again")
