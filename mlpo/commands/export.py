"""`mlpo export`: a registered leader as a plain Hugging Face folder (registry -> folder)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mlpo.config import ConfigError
from mlpo.tracking import registry
from mlpo.tracking.connect import connect
from mlpo.tracking.mlflow_model import MLFLOWS_OWN, OF_THE_VERSION


def run(reference: str, folder: Path) -> None:
    """Copy weights, tokenizer, chat template and model card, whole or not at all.

    Args:
        reference: a version's number, or an alias such as champion.
    Raises:
        ConfigError: there is no such version, it holds no weights, or something lies where it should go.
    """
    connection = connect()
    version = registry.version_of(connection, reference)
    source = registry.version_folder(connection, version)
    if not any(source.glob("*.safetensors")):
        raise ConfigError(f"leader version {version} holds no *.safetensors; it was not made by stage `register`")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder}: there is something already, and nothing is overwritten; name an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        shutil.copytree(
            source, scratch, ignore=shutil.ignore_patterns(*MLFLOWS_OWN, *OF_THE_VERSION), dirs_exist_ok=True
        )
        scratch.chmod(0o755)
        scratch.rename(folder)  # takes the place of an empty folder
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"leader version {version}: {folder} (its README.md says how to ask it)")
