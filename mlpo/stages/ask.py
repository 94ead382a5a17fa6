"""The old path of `mlpo.evaluation.question`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.evaluation.question import problem_of

__all__ = ["problem_of"]
