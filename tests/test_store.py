"""Files of values: what is kept survives a kill, what is written is whole and the same for the same values."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpo.config import ConfigError
from mlpo.files import write_json_atomic, write_lines_atomic
from mlpo.store import CompletionStore, copy_kept, encode_kept, read_jsonl, read_kept, request_key, write_jsonl_atomic
from mlpo.types import Completion, Demonstration, Message, Problem, Request, Round, Sampling, Transcript

REQUEST = Request(
    problem_id="p1",
    model="geo",
    messages=(Message("system", "Be brief."), Message("user", "Capital of Peru?")),
    sampling=Sampling(temperature=0.7, top_p=0.95, max_tokens=12, stop=("\n",)),
    seed=3,
)
PROBLEM = Problem("p1", "basics", "capital", "Capital of Peru?", "Lima", "word", aliases=("lima",), choices=())
COMPLETION = Completion("p1", "geo", "Lima\n\u2028é", "stop", prompt_tokens=20, completion_tokens=2, sample=1)
KEY = request_key("embedded@0", REQUEST)


def kept(text: str) -> Completion:
    return replace(COMPLETION, text=text)


def numbered_key(number: int) -> str:
    return f"{number:064x}"


def test_values_come_back_as_they_were_written(tmp_path: Path) -> None:
    transcript = Transcript(
        "p1",
        "leader",
        (Round((COMPLETION,), replace(COMPLETION, model="leader"), "Lima"),),
        "Lima",
        extra=(COMPLETION,),
    )
    demonstration = Demonstration("p1", "capital", "confirm", REQUEST.messages, "<answer>Lima</answer>", ("geo",))
    path = tmp_path / "values.jsonl"
    write_jsonl_atomic(path, [PROBLEM, PROBLEM])
    assert list(read_jsonl(path, Problem)) == [PROBLEM, PROBLEM]
    write_jsonl_atomic(path, [COMPLETION])
    assert list(read_jsonl(path, Completion)) == [COMPLETION]
    write_jsonl_atomic(path, [transcript])
    assert list(read_jsonl(path, Transcript)) == [transcript]
    write_jsonl_atomic(path, [demonstration])
    assert list(read_jsonl(path, Demonstration)) == [demonstration]


@given(text=st.text(), tokens=st.integers(0, 2**31))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_any_text_survives_the_store(tmp_path: Path, text: str, tokens: int) -> None:
    path = tmp_path / "any.jsonl"
    completion = replace(COMPLETION, text=text, completion_tokens=tokens)
    with CompletionStore(path) as store:
        store[KEY] = completion
    with CompletionStore(path) as store:
        assert store[KEY] == completion


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_jsonl_atomic(tmp_path / name, [PROBLEM])
        write_json_atomic(tmp_path / f"{name}.json", {"b": 1, "a": 2} if name == "a" else {"a": 2, "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_lines_atomic(path, [b"old"])

    def lines() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("stopped in the middle")

    with pytest.raises(RuntimeError):
        write_lines_atomic(path, lines())
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_jsonl_atomic(path, [PROBLEM])
    with path.open("a") as file:
        file.write('{"id": "p2"}\n')
    with pytest.raises(ConfigError, match=r"problems.jsonl:2: not a Problem: benchmark: Field required"):
        list(read_jsonl(path, Problem))


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train.jsonl: no such file; run the stage that writes it"):
        list(read_jsonl(tmp_path / "train.jsonl", Problem))


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, seed=4),
        replace(REQUEST, sample=1),
        replace(REQUEST, sampling=replace(REQUEST.sampling, top_p=0.9)),
        replace(REQUEST, sampling=replace(REQUEST.sampling, stop=())),
        replace(REQUEST, messages=(Message("user", "Be brief."), REQUEST.messages[1])),
        replace(REQUEST, messages=(Message("system", "Be brief.Capital"), Message("user", " of Peru?"))),
    ],
)
def test_whatever_changes_a_completion_changes_its_key(other: Request) -> None:
    assert request_key("embedded@0", other) != KEY


def test_another_model_has_another_key() -> None:
    assert request_key("embedded@1", REQUEST) != KEY


def test_names_do_not_change_the_key() -> None:
    assert request_key("embedded@0", replace(REQUEST, model="other", problem_id="p9")) == KEY


def test_who_wants_an_entropy_asks_for_something_else_than_who_does_not() -> None:
    greedy = replace(REQUEST, sampling=Sampling(temperature=0.0))
    wanted = replace(greedy, sampling=Sampling(temperature=0.0, entropy=True))
    assert request_key("m", greedy) != request_key("m", wanted)
    # the key of a store that knew no entropies: sha256 of identity, messages, four numbers of sampling, seed, sample
    messages = [["system", "Be brief."], ["user", "Capital of Peru?"]]
    content = json.dumps(["m", messages, [0.0, 1.0, 64, []], 3, 0])
    assert request_key("m", greedy) == hashlib.sha256(content.encode()).hexdigest()


def test_an_entropy_is_kept_and_a_line_without_one_is_read(tmp_path: Path) -> None:
    unsure = replace(COMPLETION, entropy=0.4711)
    path = tmp_path / "store.jsonl"
    with CompletionStore(path) as store:
        store[KEY] = unsure
    old = json.loads(path.read_text())
    del old["entropy"]
    with path.open("a") as file:
        file.write(json.dumps(old | {"key": numbered_key(1)}) + "\n")
    with CompletionStore(path) as store:
        assert (store[KEY], store[numbered_key(1)]) == (unsure, COMPLETION)


def test_temperature_one_is_one_however_it_is_written() -> None:
    # YAML reads `temperature: 1` as an integer and `1.0` as a float: the same sampling, so the same key.
    one = replace(REQUEST, sampling=replace(REQUEST.sampling, temperature=1))
    assert request_key("m", one) == request_key(
        "m", replace(REQUEST, sampling=replace(REQUEST.sampling, temperature=1.0))
    )


def test_a_store_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    with CompletionStore(path) as store:
        store[numbered_key(1)] = kept("one")
    with CompletionStore(path) as store:
        store[numbered_key(2)] = kept("two")
        assert [store[numbered_key(n)].text for n in (1, 2)] == ["one", "two"]
        assert len(store) == 2
        assert numbered_key(3) not in store
        assert sorted(store) == [numbered_key(1), numbered_key(2)]


def test_a_torn_last_line_is_dropped_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    with CompletionStore(path) as store:
        store[numbered_key(1)] = kept("one")
        store[numbered_key(2)] = kept("two")
    path.write_bytes(path.read_bytes()[:-5])
    with CompletionStore(path) as store:
        assert list(store) == [numbered_key(1)]
        store[numbered_key(3)] = kept("three")
    assert [key for key, _ in read_kept(path)] == [numbered_key(1), numbered_key(3)]


def test_a_damaged_line_before_the_last_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    path.write_bytes(b"{torn\n{}\n")
    with pytest.raises(ConfigError, match=r"store.jsonl:1: damaged line"):
        CompletionStore(path)


def test_two_processes_cannot_write_one_store(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    with CompletionStore(path), pytest.raises(ConfigError, match="another process works on it"):
        CompletionStore(path)
    with CompletionStore(path) as store:
        assert len(store) == 0


def test_a_killed_process_loses_nothing_it_had_set(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    script = (
        "import os, signal, sys; from pathlib import Path; from mlpo.store import CompletionStore;"
        "from mlpo.types import Completion; store = CompletionStore(Path(sys.argv[1]));"
        "[store.__setitem__(f'{n:064x}', Completion('p', 'm', 'x', 'stop', 1, 1)) for n in range(50)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], env={**os.environ}, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    with CompletionStore(path) as store:
        assert len(store) == 50


def test_the_index_is_small(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "store.jsonl"
    text = "x" * 2000
    row = json.dumps({"key": "KEY", "problem_id": "p", "model": "m", "text": text, "finish_reason": "stop"})
    with path.open("w") as file:
        for number in range(20_000):
            file.write(row.replace("KEY", numbered_key(number)) + "\n")
    tracemalloc.start()
    with CompletionStore(path) as store:
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(store) == 20_000
    # 40 MB of text; a digest (65 bytes), an offset (32) and a slot (~100) each make about 4 MB
    assert held < 8_000_000


def test_a_store_takes_over_what_others_hold_and_it_lacks(tmp_path: Path) -> None:
    target, source, missing = tmp_path / "target", tmp_path / "source", tmp_path / "missing"
    own, theirs, torn = (digest * 64 for digest in "abc")
    with CompletionStore(target) as store:
        store[own] = COMPLETION
    lines = [encode_kept(own, replace(COMPLETION, text="other")), encode_kept(theirs, replace(COMPLETION, text="new"))]
    source.write_bytes(b"\n".join([*lines, encode_kept(torn, COMPLETION)[:-9]]))  # its owner is writing the last line
    copy_kept(target, [source, missing])
    with CompletionStore(target) as store:
        assert {key: kept.text for key, kept in store.items()} == {own: COMPLETION.text, theirs: "new"}


def test_threads_share_a_store_and_get_what_belongs_to_their_key(tmp_path: Path) -> None:
    with CompletionStore(tmp_path / "kept.jsonl") as store:

        def write_and_read(thread: int) -> bool:
            mine = range(thread * 100, thread * 100 + 40)
            for number in mine:
                store[numbered_key(number)] = kept(f"{number} " * 100 * (number % 7 + 1))
            return all(store[numbered_key(n)].text.split()[0] == str(n) for n in [*mine] * 10)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(write_and_read, range(4)))
    with CompletionStore(tmp_path / "kept.jsonl") as store:
        assert len(store) == 160
