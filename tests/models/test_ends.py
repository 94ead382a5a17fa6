"""What ends a turn, whatever the family: learned so, stopped at, and named in every file of a leader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from mlpo.config import ServerConfig
from mlpo.inference.remote_models import RemoteModels
from mlpo.models.embedded import embedded_folder
from mlpo.models.ends import end_token_ids, named_end_token_ids, turn_end
from mlpo.models.load import save_leader
from mlpo.training.sft_examples import encode_demonstration
from mlpo.types import Demonstration, Message
from tests.models.families import FAMILIES, GEMMA_2, PHI_3, Family, leader_of, tokenizer_of


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param  # type: ignore[no-any-return]


def test_a_demonstration_ends_as_the_template_ends_an_assistants_turn(family: Family, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(family, tmp_path)
    shown = Demonstration("p", "sum", "solo_confirm", (Message("user", "1 + 1?"),), "<answer>2</answer>")
    completion = encode_demonstration(tokenizer, shown).completion
    assert tokenizer.convert_ids_to_tokens(completion[-1]) == family.end
    assert tokenizer.decode(completion[:-1]) == shown.completion


def test_sampling_stops_there_and_wherever_files_say(family: Family, tmp_path: Path) -> None:
    leader = leader_of(family, tmp_path, eos_token_id=[5, 6])
    assert end_token_ids(leader) == {5, 6, leader.tokenizer.eos_token_id, turn_end(leader.tokenizer)}


def test_a_saved_leader_names_it_in_every_file(family: Family, tmp_path: Path) -> None:
    leader = leader_of(family, tmp_path / "base")
    before = end_token_ids(leader)
    save_leader(leader, tmp_path / "leader", system="Think.")
    folder, end = tmp_path / "leader", leader.tokenizer.convert_tokens_to_ids(family.end)
    assert json.loads((folder / "tokenizer_config.json").read_text())["eos_token"] == family.end
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == end
    for config in (AutoConfig.from_pretrained(folder), GenerationConfig.from_pretrained(folder)):
        named = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        assert named[0] == end
        assert set(named) == before  # what ended a completion before still does
    assert named_end_token_ids(str(folder), None) == before
    assert turn_end(AutoTokenizer.from_pretrained(folder)) == end


def test_saved_twice_it_says_the_same(tmp_path: Path) -> None:
    leader = leader_of(GEMMA_2, tmp_path / "base", eos_token_id=[7])
    save_leader(leader, tmp_path / "once", system="Think.")
    save_leader(leader, tmp_path / "twice", system="Think.")
    for file in (tmp_path / "once").iterdir():
        assert file.read_bytes() == (tmp_path / "twice" / file.name).read_bytes(), file.name


def test_a_template_that_refuses_everything_and_no_template_leave_the_tokenizers_own(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(PHI_3, tmp_path)
    for template in ("{{ raise_exception('no') }}", "the same whatever is said<|end|>", None):
        tokenizer.chat_template = template
        assert turn_end(tokenizer) == tokenizer.eos_token_id


def test_a_vllm_of_ours_is_told_what_its_model_ends_with(tmp_path: Path) -> None:
    served = RemoteModels(ServerConfig(serve="vllm", extra_body={"top_k": 1}))
    assert named_end_token_ids(str(embedded_folder()), None) == {2}
    assert named_end_token_ids(str(tmp_path), None) == frozenset()
    assert served._stopping_at({7, 2}).extra_body == {"stop_token_ids": [2, 7], "top_k": 1}
    assert served._stopping_at(()).extra_body == {"top_k": 1}
