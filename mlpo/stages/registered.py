"""The old path of `mlpo.evaluation.registered_leader`, which a leader registered before imports."""

from __future__ import annotations

from mlpo.evaluation.registered_leader import read_registered

__all__ = ["read_registered"]
