"""What a model is called without loading it: equal identities give equal completions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from mlpo.config import ConfigError
from mlpo.models.embedded import EMBEDDED, embedded_identity
from mlpo.models.settings import settings_digest

Quantization = Literal["8bit", "4bit"]


def model_identity(model: str, revision: str | None = None, quantize: Quantization | None = None) -> str:
    """Name the model without loading it; the embedded one is converted first if it never was.

    A folder is named by the bytes of its weights and settings, so a leader trained twice to the same weights has one
    identity, and one whose tokenizer was mended has another. Quantised weights are others.

    Raises:
        ConfigError: a local folder without safetensors weights, or the embedded package is not installed.
    """
    suffix = f":{quantize}" if quantize else ""
    if model == EMBEDDED:
        return f"{embedded_identity()}{suffix}"
    folder = Path(model)
    if folder.is_dir():
        whole = hashlib.sha256((weights_digest(folder) + settings_digest(folder)).encode())
        return f"folder@{whole.hexdigest()[:12]}{suffix}"
    return f"{model}@{revision or 'main'}{suffix}"


def weights_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's safetensors files."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{folder}: no *.safetensors weights here; name a model folder, a hub id or 'embedded'")
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as handle:
            whole.update(file.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return whole.hexdigest()
