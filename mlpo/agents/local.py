"""The old path of `mlpo.inference.local`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.inference.local import LocalModels

__all__ = ["LocalModels"]
