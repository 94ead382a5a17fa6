"""The evaluations a registered leader carries: the one it was registered with, and those on other sets since."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from mlpo.config import ConfigError
from mlpo.tracking.connect import Connection, connect
from mlpo.tracking.gate import Evaluation
from mlpo.tracking.registry import artifact_uri_of, model_id_of

EVALUATION_FILE = "evaluation.json"
"""Of the registration: scores by problem, so that a later challenger is compared problem by problem."""
LATER_FOLDER = "evaluations"
"""Of later sets: a file by the digest of each."""


def write_evaluation(folder: Path, evaluation: Evaluation, name: str = EVALUATION_FILE) -> None:
    """Write it as JSON."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(evaluation), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def evaluations_of(connection: Connection, version: int) -> list[Evaluation]:
    """What a version carries, its registration's first; [] of a version that was not made by stage `register`.

    One that lacks a figure the gate asks for, since it was written by older code, does not count.
    """
    from mlflow.artifacts import download_artifacts, list_artifacts

    where = artifact_uri_of(connection, version)
    with tempfile.TemporaryDirectory() as scratch:  # of a remote store only these are fetched, and no weights
        for entry in list_artifacts(artifact_uri=where, tracking_uri=connection.uri):
            name = Path(entry.path).name
            if name in (EVALUATION_FILE, LATER_FOLDER):
                download_artifacts(artifact_uri=f"{where}/{name}", dst_path=scratch, tracking_uri=connection.uri)
        folder = Path(scratch)
        found = [folder / EVALUATION_FILE, *sorted((folder / LATER_FOLDER).glob("*.json"))]
        stored = [json.loads(path.read_text(encoding="utf-8")) for path in found if path.is_file()]
    return [Evaluation(**one) for one in stored if one.keys() == Evaluation.__dataclass_fields__.keys()]


def add_evaluation(version: int, evaluation: Evaluation) -> None:
    """Let a version carry its evaluation on another set; one on the same set is written over.

    Raises:
        ConfigError: there is no such version, or it was not made by stage `register`.
    """
    connection = connect()
    model_id = model_id_of(connection, version)
    if model_id is None:
        raise ConfigError(f"leader version {version} was registered by hand and has no place for an evaluation")
    with tempfile.TemporaryDirectory() as folder:
        write_evaluation(Path(folder), evaluation, f"{LATER_FOLDER}/{evaluation.problems}.json")
        connection.client.log_model_artifacts(model_id, folder)
