"""The old path of `mlpo.tracking.mlflow_model`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.tracking.mlflow_model import Ask, serve_team

__all__ = ["Ask", "serve_team"]
