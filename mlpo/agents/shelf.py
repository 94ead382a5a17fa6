"""The old path of `mlpo.inference.model_pool`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.inference.model_pool import ModelPool as ModelShelf

__all__ = ["ModelShelf"]
