"""`mlpo inspect transcripts`: what a strategy did for some test problems (data/evaluation -> screen)."""

from __future__ import annotations

import difflib
from itertools import islice

from mlpo.config import ConfigError
from mlpo.grading import is_equivalent
from mlpo.layout import TEST_PROBLEMS, TRANSCRIPTS, transcripts_of
from mlpo.method.metrics import grade
from mlpo.report.transcript import transcript_markdown
from mlpo.store import read_jsonl
from mlpo.types import Problem, Transcript


def run(strategy: str, number: int) -> None:
    """Print the first `number` transcripts of a strategy as Markdown.

    Raises:
        ConfigError: the strategy was not evaluated here; the message names one like it.
    """
    path = transcripts_of(strategy)
    if not path.is_file():
        played = sorted(file.stem for file in TRANSCRIPTS.glob("*.jsonl"))
        close = difflib.get_close_matches(path.stem, played, n=1)
        mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(played) or 'none'}"
        raise ConfigError(f"{path}: {strategy} was not evaluated here; {mend} (see evaluate.rivals)")
    problems = {problem.id: problem for problem in read_jsonl(TEST_PROBLEMS, Problem)}
    for transcript in islice(read_jsonl(path, Transcript), number):
        if transcript.problem_id not in problems:
            raise ConfigError(f"{path}: not the problems of {TEST_PROBLEMS}; run `mlpo evaluate` again")
        graded = grade(transcript, problems[transcript.problem_id], equivalent=is_equivalent)
        print(transcript_markdown(graded), end="\n\n")
