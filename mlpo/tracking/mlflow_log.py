"""Writing to a run: metrics, parameters, tags and dataset inputs, each in one batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpo.tracking.connect import Connection
from mlpo.tracking.mlflow_limits import flatten, legal_digest, legal_name, split_oversized
from mlpo.tracking.provenance import content_md5

_BATCH = 100
"""MLflow takes at most 100 parameters or tags in one call."""


def log_metrics(connection: Connection, run_id: str, metrics: Mapping[str, float], step: int) -> None:
    """Record metrics of one step in one call."""
    from mlflow.entities import Metric

    now = time.time_ns() // 1_000_000
    batch = [Metric(legal_name(name), float(value), now, step) for name, value in metrics.items()]
    connection.client.log_batch(run_id, metrics=batch)


def log_params(connection: Connection, run_id: str, values: Mapping[str, Any]) -> None:
    """Record parameters; a text that is too long for one becomes an artifact."""
    from mlflow.entities import Param

    fitting, oversized = split_oversized(flatten(values))
    batch = [Param(name, value) for name, value in fitting.items()]
    for start in range(0, len(batch), _BATCH):
        connection.client.log_batch(run_id, params=batch[start : start + _BATCH])
    for name, text in oversized.items():
        connection.client.log_text(run_id, text, f"params/{name}.txt")


def set_tags(connection: Connection, run_id: str, tags: Mapping[str, object]) -> None:
    """Set tags in one call."""
    from mlflow.entities import RunTag

    connection.client.log_batch(run_id, tags=[RunTag(legal_name(name), str(value)) for name, value in tags.items()])


def log_inputs(connection: Connection, run_id: str, inputs: Sequence[Path]) -> None:
    """Record what a run reads as dataset inputs, by DVC hash."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    datasets = [
        DatasetInput(
            Dataset(path.as_posix(), legal_digest(content_md5(path)), source_type="dvc", source=path.as_posix()),
            [InputTag("mlflow.data.context", "input")],
        )
        for path in inputs
    ]
    if datasets:
        connection.client.log_inputs(run_id, datasets)
