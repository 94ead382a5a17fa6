"""What MLflow runs where a registered leader is loaded as a function: its team's rounds. Logged with it, as code.

`register` copies this file into the version; there its folder is the version's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpo.tracking.model import Ask, serve_team


def open_team(folder: Path) -> Ask:
    """The leader in `folder` with its team; models are loaded at the first question and stay loaded."""
    from mlpo.agents.ledger import GenerationLedger
    from mlpo.agents.local import LocalModels
    from mlpo.agents.shelf import ModelShelf
    from mlpo.config import RuntimeConfig
    from mlpo.stages.ask import problem_of
    from mlpo.stages.registered import read_registered
    from mlpo.store import request_key
    from mlpo.types import Completion

    leader = read_registered(folder, RuntimeConfig())
    kept: dict[str, Completion] = {}
    models = LocalModels(leader.params.runtime)
    shelf = ModelShelf(models, kept, request_key, ledger=GenerationLedger(), max_loaded=len(leader.team) + 1)

    def ask(questions: Sequence[str]) -> list[dict[str, Any]]:
        transcripts = leader.play([problem_of(question) for question in questions], shelf)
        kept.clear()  # a server that remembers every answer grows for ever
        return [
            {
                "answer": transcript.answer or "",
                "text": transcript.answering.text,
                "prompt_tokens": sum(c.prompt_tokens for c in transcript.completions),
                "completion_tokens": sum(c.completion_tokens for c in transcript.completions),
            }
            for transcript in transcripts
        ]

    return ask


serve_team(open_team, Path(__file__).parent)
