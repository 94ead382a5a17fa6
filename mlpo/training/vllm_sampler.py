"""vLLM inside the training process (TRL's colocate mode): weights copied into it before each roll-out, and probed.

TRL's VLLMGeneration is not used: it takes neither a dtype, nor a seed a request (a resumed run has to draw what the
unbroken one would have drawn), nor our adapters. As there, the engine lives in this process and computes on its device.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate.utils import patch_environment

from mlpo.config import ConfigError, RuntimeConfig
from mlpo.models.chat_template import render
from mlpo.models.ends import end_token_ids
from mlpo.models.generate import MAX_ROWS, Draw, Drawn
from mlpo.models.lora import plain_weights
from mlpo.models.memory import ENGINE_PASS_TOKENS, key_bytes
from mlpo.models.model_info import model_shape
from mlpo.models.packed import Group, pack, packed_logprobs
from mlpo.training.trainer_setup import naming_the_budget
from mlpo.training.weights import WholeWeights
from mlpo.types import Message

PROBE = "Five agents answered. Compare what they say, step by step, and find out which of them is right: 17 + 25 = 42."
"""What both sides are asked for the log-probabilities of; its words do not matter."""
SPARE_TOKENS = 512
"""Room for keys beyond the budget: vLLM keeps them in blocks of up to 128 tokens, one of which it never uses."""
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process, where its weights can be written to
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # on a CPU it would take cores that others use
}
"""While vLLM starts. Servers that are started later must not inherit it."""


class VllmSampler:
    """A `Sampler` that draws with vLLM: other tokens than ours at the same seeds, from the same distribution."""

    def __init__(self, weights: WholeWeights, *, batch_tokens: int, max_difference: float) -> None:
        """Start the engine on the weights the leader was loaded from; `refresh` brings what training changes.

        Args:
            weights: of a leader that was loaded from a folder; all its processes start an engine together.
            batch_tokens: keys and values of so many tokens are held; prompt and completion together are no longer.
            max_difference: nats; see `check`.
        Raises:
            ConfigError: vLLM is not installed, does not know this kind of model, or finds no room.
        """
        leader = weights.leader
        self.tokenizer = leader.tokenizer
        self._weights, self._dtype, self._alone = weights, weights.dtype, weights.ranks.count == 1
        self._batch_tokens, self._max_difference = batch_tokens, max_difference
        self._longest = min(leader.max_context_tokens, batch_tokens)
        self._ends = end_token_ids(leader)
        self._probe = render(leader.tokenizer, [Message("user", PROBE)])[: self._longest - 1]
        with self._naming_the_budget():
            self._engine = self._start()

    def _start(self) -> Any:
        source, on_cpu = str(self._weights.leader.model.name_or_path), self._weights.device.type == "cpu"
        shape = model_shape(source)
        assert shape is not None
        with patch_environment(**ENVIRONMENT):
            from vllm import LLM

            if on_cpu:
                _keep_linears_plain()
            try:
                return LLM(
                    model=source,
                    dtype=str(self._dtype).removeprefix("torch."),
                    skip_tokenizer_init=True,
                    generation_config="vllm",
                    use_tqdm_on_load=False,
                    max_model_len=self._longest,
                    max_num_seqs=MAX_ROWS,
                    max_num_batched_tokens=ENGINE_PASS_TOKENS,
                    kv_cache_memory_bytes=int(
                        key_bytes(shape, self._batch_tokens + SPARE_TOKENS, self._dtype.itemsize)
                    ),
                    gpu_memory_utilization=0.01,  # without effect beside the line above, but checked for
                    logprobs_mode="processed_logprobs",  # at the sampling temperature, as the trainer's are
                    enforce_eager=on_cpu,  # compiling takes longer than it saves there
                    # One process: an engine alone. Several: they have found each other, each engine is on its own.
                    distributed_executor_backend="uni" if self._alone else "external_launcher",
                )
            except ValueError as error:
                reason = " ".join(str(error).split())
                raise ConfigError(
                    f"train_mlpo.rollout_engine: vLLM cannot hold {source}: {reason}. Set it to own, or give vLLM what "
                    "it asks for"
                ) from error

    def refresh(self) -> None:
        """Copy what training changes into the engine, forget all keys of older weights, and see that it worked.

        Adapters are merged on the way, in float32, and what is shared out is gathered, one weight after another.

        Raises:
            ConfigError: as `check`.
        """
        held, dtype = self._weights, self._dtype
        whole = ((name, held.whole(weight, dtype)) for name, weight in plain_weights(held.model))
        with torch.no_grad():
            self._engine.apply_model(lambda network: network.load_weights(whole))
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM did not reset its prefix cache; keys of older weights would be used")
        self.check()

    def check(self) -> None:
        """Compare the engine's log-probabilities of a fixed text with the trainer's.

        Raises:
            ConfigError: their mean difference is above `max_difference`: the engine does not hold these weights.
        """
        difference = self._probed_difference()
        if not difference <= self._max_difference:  # NaN is a failure too
            raise ConfigError(
                f"train_mlpo: after the weights were copied, vLLM's log-probabilities of a probe differ by "
                f"{difference:.3g} nats from the trainer's, over train_mlpo.max_logprob_difference = "
                f"{self._max_difference:g}. If vLLM computes this model otherwise by so much, raise the limit and go "
                "on at the last checkpoint; else set train_mlpo.rollout_engine to own and start afresh"
            )

    def _probed_difference(self) -> float:
        """Mean |log-probability by the engine - by the trainer| over the probe's tokens, nats."""
        from vllm import SamplingParams

        tokens = self._probe
        (batch,) = pack([Group(tokens[:1], (tokens[1:],))], len(tokens))
        self._weights.model.eval()
        mixed = torch.autocast(self._weights.device.type, self._dtype, enabled=self._dtype != torch.float32)
        with torch.no_grad(), mixed:
            ours = packed_logprobs(self._weights.model, batch).logprobs_NT[0].tolist()
        asked = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, ignore_eos=True, detokenize=False)
        (answer,) = self._engine.generate([{"prompt_token_ids": list(tokens)}], asked, use_tqdm=False)
        found = [place[token].logprob for place, token in zip(answer.prompt_logprobs[1:], tokens[1:], strict=True)]
        return float(sum(abs(a - b) for a, b in zip(found, ours, strict=True))) / len(ours)

    def sample(self, draws: Sequence[Draw]) -> list[Drawn]:
        """Every completion with the log-probabilities of its tokens. Draws of one prompt share its keys.

        Raises:
            ConfigError: a prompt and its completion do not fit, or out of memory.
        """
        from vllm import SamplingParams

        if not draws:
            return []
        longest = max(len(d.prompt) + d.sampling.max_tokens for d in draws)
        if longest > self._longest:
            raise ConfigError(
                f"a prompt and its completion take up to {longest} tokens, but vLLM was started for {self._longest}; "
                f"raise runtime.batch_tokens (now {self._batch_tokens}) if that is less than the leader's context, or "
                "lower train_mlpo.max_completion_tokens"
            )
        prompts = [{"prompt_token_ids": list(d.prompt)} for d in draws]
        asked = [
            SamplingParams(
                temperature=d.sampling.temperature,
                top_p=d.sampling.top_p,
                max_tokens=d.sampling.max_tokens,
                seed=d.seed,
                logprobs=0,
                stop_token_ids=sorted(self._ends),
                ignore_eos=True,  # all that end a completion are named above
                detokenize=False,
            )
            for d in draws
        ]
        with self._naming_the_budget():
            answers = self._engine.generate(prompts, asked, use_tqdm=False)
        return [self._drawn(answer.outputs[0]) for answer in answers]

    def _drawn(self, output: Any) -> Drawn:
        if output.finish_reason not in ("stop", "length"):
            raise RuntimeError(f"vLLM ended a completion with {output.finish_reason!r}")
        tokens = tuple(output.token_ids)
        text = str(self.tokenizer.decode([t for t in tokens if t not in self._ends]))
        logprobs = tuple(place[token].logprob for place, token in zip(output.logprobs, tokens, strict=True))
        return Drawn(tokens, output.finish_reason, text, logprobs)

    def close(self) -> None:
        """End the engine; of several processes, those that train go on knowing each other."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory, destroy_model_parallel

        self._engine.llm_engine.engine_core.shutdown()
        del self._engine
        if self._alone:
            cleanup_dist_env_and_memory()
        else:
            destroy_model_parallel()

    def _naming_the_budget(self) -> Any:
        return naming_the_budget("sampling with vLLM", "runtime.batch_tokens", self._batch_tokens)


def why_not_vllm(runtime: RuntimeConfig) -> Iterator[str]:
    """What keeps vLLM from drawing roll-outs on this machine, as far as parameters tell."""
    if importlib.util.find_spec("vllm") is None:
        yield "train_mlpo.rollout_engine is vllm, which is not installed: pip install 'mlpo[gpu]', or set it to own"
    number = runtime.device.partition(":")[2]
    if number not in ("", "0"):
        yield (
            f"train_mlpo.rollout_engine: vLLM takes the first GPU it sees, and runtime.device is {runtime.device}; set "
            f"CUDA_VISIBLE_DEVICES={number} and runtime.device=cuda"
        )


def _keep_linears_plain() -> None:
    """On a CPU vLLM packs the weights of linear layers when it has loaded them: what is copied in later is not seen."""
    from vllm.model_executor.layers import utils

    def plain(layer: torch.nn.Module, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear  # type: ignore[assignment] # no module, as vLLM has it

    utils.dispatch_cpu_unquantized_gemm = plain
