"""What a registered version calls: its `leader_model.py` imports `serve_registered`, and nothing else of mlpo.

Versions outlive the code that registered them, so this module's path and the function's signature stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpo.config import RuntimeConfig
from mlpo.evaluation.question import problem_of
from mlpo.evaluation.registered_leader import read_registered
from mlpo.inference.local import LocalModels
from mlpo.inference.model_pool import ModelPool
from mlpo.inference.usage import GenerationLedger
from mlpo.store import request_key
from mlpo.tracking.mlflow_model import Ask, serve_team
from mlpo.types import Completion


def serve_registered(folder: Path) -> None:
    """Tell MLflow how to ask the leader in `folder` with its team; models are loaded at the first question."""
    serve_team(open_team, folder)


def open_team(folder: Path) -> Ask:
    """The leader in `folder` with its team; models are loaded at the first question and stay loaded."""
    leader = read_registered(folder, RuntimeConfig())
    kept: dict[str, Completion] = {}
    models = LocalModels(leader.params.runtime)
    model_pool = ModelPool(models, kept, request_key, ledger=GenerationLedger(), max_loaded=len(leader.team) + 1)

    def ask(questions: Sequence[str]) -> list[dict[str, Any]]:
        transcripts = leader.play([problem_of(question) for question in questions], model_pool)
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
