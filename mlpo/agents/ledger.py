"""The old path of `mlpo.inference.usage`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.inference.usage import GenerationLedger

__all__ = ["GenerationLedger"]
