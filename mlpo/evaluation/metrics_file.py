"""What `evaluate` left in metrics.json, read again by the stages after it."""

from __future__ import annotations

import json
from typing import Any

from mlpo.config import ConfigError
from mlpo.layout import METRICS


def read_metrics() -> dict[str, Any]:
    """The metrics of this checkout.

    Raises:
        ConfigError: nothing was evaluated here, or by an older mlpo.
    """
    if not METRICS.is_file():
        raise ConfigError(f"{METRICS}: no results here; run `mlpo evaluate`, or `dvc pull` if somebody else did")
    metrics: dict[str, Any] = json.loads(METRICS.read_text(encoding="utf-8"))
    if "confidence" not in metrics:
        raise ConfigError(
            f"{METRICS}: does not say its confidence, so an older mlpo wrote it; run `mlpo evaluate` again"
        )
    return metrics
