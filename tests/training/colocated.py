"""A program for a Python that has vLLM: a tiny leader's roll-outs by vLLM inside the training process, against ours.

    python colocated.py MODEL_FOLDER WORK_FOLDER

Every part runs in a fork of this process, which has imported everything. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
import vllm  # noqa: F401 - for the forks

from mlpo.config import ConfigError, LoraConfig
from mlpo.models.chat_template import render
from mlpo.models.ends import end_token_ids
from mlpo.models.generate import Draw, Drawn
from mlpo.models.load import LoadedModel, load_model
from mlpo.models.lora import choose_trained
from mlpo.models.packed import Group, pack, packed_logprobs
from mlpo.training.distributed import ALONE
from mlpo.training.local_sampler import OwnSampler
from mlpo.training.vllm_sampler import ENVIRONMENT, VllmSampler
from mlpo.training.weights import WholeWeights
from mlpo.types import Message, Sampling
from tests.training.together import SHARDED, mlpo, run, stop_at

QUESTIONS = ("17 + 25?", "The opposite of hot is", "Name three colours, and say which you like best. " * 4)
"""A token a character. The last is longer than the 128 tokens whose keys vLLM keeps together on a CPU."""
MORE_ENDS = range(40, 46)
"""Of some hundred tokens, so that completions end now and then."""
GREEDY = Sampling(0.0, 1.0, 12)
VARIED = Sampling(0.8, 1.0, 12)


def asked(leader: LoadedModel, sampling: Sampling, *, each: int = 1, seed: int = 0) -> list[Draw]:
    prompts = [render(leader.tokenizer, [Message("user", question)]) for question in QUESTIONS]
    return [Draw(ids, sampling, seed + n) for ids in prompts for n in range(each)]


def learn(leader: LoadedModel) -> None:
    """One large optimizer step."""
    (batch,) = pack([Group(asked(leader, GREEDY)[0].prompt, ((11, 12, 13), (14, 15)))], 512)
    optimizer = torch.optim.AdamW([p for p in leader.model.parameters() if p.requires_grad], lr=0.1)
    (-packed_logprobs(leader.model, batch).logprobs_NT.sum()).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def plain(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Without the log-probabilities, which our own sampler does not say."""
    return [replace(one, logprobs=None) for one in drawn]


def weights(model: str, lora: LoraConfig | None) -> dict[str, Any]:
    """Before and after an optimizer step, with and without the weights copied in between."""
    leader = load_model(model, device="cpu", dtype="float32")
    choose_trained(leader.model, None, lora, seed=0)
    leader.model.generation_config.eos_token_id = [0, *MORE_ENDS]
    held = WholeWeights(leader, torch.float32, ALONE)
    own = OwnSampler(held, 2048)
    engine = VllmSampler(held, batch_tokens=2048, max_difference=1e-3)
    found: dict[str, Any] = {"inherited": [name for name in ENVIRONMENT if name in os.environ]}
    greedy = asked(leader, GREEDY)
    engine.refresh()
    own.refresh()
    found["before"] = plain(engine.sample(greedy)) == own.sample(greedy)
    found |= sampled(leader, engine)
    for _ in range(2):  # the first step moves only one half of the adapters
        learn(leader)
    own.refresh()
    found["stale"] = plain(engine.sample(greedy)) == own.sample(greedy)
    try:
        engine.check()
    except ConfigError as error:
        found["refused"] = str(error)
    engine.refresh()
    found["after"] = plain(engine.sample(greedy)) == own.sample(greedy)
    try:
        engine.sample([Draw((5,) * 600, VARIED, 0)])
    except ConfigError as error:
        found["too_long"] = str(error)
    engine.close()
    return found


def sampled(leader: LoadedModel, engine: VllmSampler) -> dict[str, Any]:
    """What holds of completions at temperature 0.8."""
    draws = asked(leader, VARIED, each=8)
    one = engine.sample(draws)
    worst = 0.0
    for draw, drawn in zip(draws, one, strict=True):
        (batch,) = pack([Group(draw.prompt, (drawn.token_ids,))], 512)
        with torch.no_grad():
            found = packed_logprobs(leader.model, batch, temperature=0.8).logprobs_NT[0]
        assert drawn.logprobs is not None
        worst = max(worst, float((found - torch.tensor(drawn.logprobs)).abs().max()))
    ends = end_token_ids(leader)
    return {
        "again": plain(engine.sample(draws)) == plain(one),
        "alone": plain([engine.sample([draw])[0] for draw in draws[:4]]) == plain(one[:4]),
        "other_seeds": plain(engine.sample(asked(leader, VARIED, each=8, seed=99))) == plain(one),
        "distinct": len({d.token_ids for d in one[:8]}),
        "reasons": sorted({d.finish_reason for d in one}),
        "ends": all((d.token_ids[-1] in ends) == (d.finish_reason == "stop") for d in one),
        "length": all(len(d.token_ids) == 12 for d in one if d.finish_reason == "length"),
        "difference": worst,
    }


def forked(work: Callable[[], dict[str, Any]], file: Path) -> dict[str, Any]:
    """What `work` returns, from a process of its own."""
    if not (pid := os.fork()):
        try:
            file.write_text(json.dumps(work()))
        except BaseException:  # noqa: BLE001 - this process ends here; it is not to go on as its parent would
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.waitpid(pid, 0)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def others_of_this_session() -> list[str]:
    """Processes that are left after ten seconds, by what they were started as; dead ones, unburied, are none."""
    mine = os.getsid(0)
    found = [each for each in psutil.process_iter(["status"]) if each.pid != os.getpid() and session(each.pid) == mine]
    _, alive = psutil.wait_procs([each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE], timeout=10)
    return [" ".join(each.cmdline()) for each in alive]


def session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it ended just now
        return None


def main(model: str, work: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "weights": forked(partial(weights, model, None), work / "weights.json"),
        "adapters": forked(partial(weights, model, LoraConfig(rank=2)), work / "adapters.json"),
    }
    engine = partial(mlpo, rollout_engine="vllm", max_logprob_difference=1e-3)
    codes = {
        "one": run("one", engine, model, work, 1),
        "stopped": run("stopped", engine, model, work, 1, stop_at(3)),
        "resumed": run("stopped", engine, model, work, 1),
        "two": run("two", engine, model, work, 2, runtime=SHARDED),
    }
    print(json.dumps(found | {"codes": codes, "left": others_of_this_session()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
