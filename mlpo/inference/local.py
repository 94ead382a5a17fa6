"""A backend that samples from a model in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from transformers import AutoTokenizer

from mlpo.config import ConfigError, RuntimeConfig
from mlpo.inference.backend import Backend, OnAnswer, OnText
from mlpo.models.chat_template import render
from mlpo.models.embedded import model_source
from mlpo.models.generate import Draw, Drawn, sample_tokens
from mlpo.models.identity import Quantization, model_identity
from mlpo.models.load import LoadedModel, load_model
from mlpo.types import Completion, Message, Request


@dataclass(frozen=True, slots=True)
class LocalModels:
    """Models loaded into this process."""

    runtime: RuntimeConfig
    quantize: Quantization | None = None
    on_text: OnText | None = None
    """Hears every completion grow."""

    def quantized(self, how: Quantization) -> LocalModels:
        """The same models with quantised weights."""
        return replace(self, quantize=how)

    def identity(self, model: str, revision: str | None) -> str:
        """The weights' content identity, and the dtype where one is set."""
        return f"{model_identity(model, revision, self.quantize)}:{self.runtime.dtype}"

    def open(self, model: str, revision: str | None) -> Backend:
        """Load the model."""
        runtime = self.runtime
        loaded = load_model(model, revision, device=runtime.device, dtype=runtime.dtype, quantize=self.quantize)
        return LocalBackend(loaded, self.runtime.batch_tokens, on_text=self.on_text)

    def token_counter(self, model: str, revision: str | None) -> Callable[[Sequence[Message], str], tuple[int, int]]:
        """Counts with the model's own tokenizer; no weights are loaded."""
        tokenizer = AutoTokenizer.from_pretrained(model_source(model), revision=revision)
        return lambda messages, completion: (
            len(render(tokenizer, messages)),
            len(tokenizer.encode(completion, add_special_tokens=False)),
        )


class LocalBackend:
    """Renders requests with the model's chat template and samples their completions; the sampler sorts and batches."""

    def __init__(
        self,
        loaded: LoadedModel,
        batch_tokens: int,
        *,
        on_batch: Callable[[int], None] | None = None,
        on_text: OnText | None = None,
    ) -> None:
        """`batch_tokens` bounds prompt plus completion tokens of one batch; `on_batch` hears how many draws ended."""
        self._loaded = loaded
        self._batch_tokens = batch_tokens
        self._on_batch = on_batch
        self._on_text = on_text

    def check(self, requests: Iterable[Request]) -> None:
        """Refuse prompts that leave no room for their completion.

        Raises:
            ConfigError: prompt plus `max_tokens` exceed the model's context.
        """
        for request in requests:
            self._prompt(request)

    def generate(self, requests: Sequence[Request], on_answer: OnAnswer | None = None) -> list[Completion]:
        """Sample every request and answer all at once; all prompts are checked before the first is run.

        Raises:
            ConfigError: a prompt exceeds the context, or the accelerator's memory is too small for a batch.
        """
        draws = [Draw(self._prompt(request), request.sampling, request.seed) for request in requests]
        by_model: dict[str, list[int]] = {}  # the sampler reads what all prompts of a call begin with only once
        for index, request in enumerate(requests):
            by_model.setdefault(request.model, []).append(index)
        completions: dict[int, Completion] = {}
        for indices in by_model.values():
            drawn = self._sample([draws[i] for i in indices], [requests[i] for i in indices])
            for i, one in zip(indices, drawn, strict=True):
                completions[i] = _completion(requests[i], draws[i], one)
        return [completions[i] for i in range(len(requests))]

    def close(self) -> None:
        """Memory goes with the last reference to the model."""

    def _sample(self, draws: Sequence[Draw], requests: Sequence[Request]) -> list[Drawn]:
        on_text = self._on_text
        on_token = None if on_text is None else lambda place, text: on_text(requests[place], text)
        try:
            return sample_tokens(
                self._loaded, draws, batch_tokens=self._batch_tokens, on_batch=self._on_batch, on_token=on_token
            )
        except torch.OutOfMemoryError:
            raise ConfigError(
                f"out of memory on {self._loaded.device} while sampling {len(draws)} completions; "
                f"lower runtime.batch_tokens (now {self._batch_tokens})"
            ) from None

    def _prompt(self, request: Request) -> tuple[int, ...]:
        prompt = render(self._loaded.tokenizer, request.messages)
        limit = self._loaded.max_context_tokens
        wanted = len(prompt) + request.sampling.max_tokens
        if wanted > limit:
            raise ConfigError(
                f"{request.model}, problem {request.problem_id}: the prompt's {len(prompt)} tokens and "
                f"max_tokens {request.sampling.max_tokens} make {wanted}, over the model's context of {limit}; "
                "show fewer worked examples, allow shorter completions or name a model with a longer context"
            )
        return prompt


def _completion(request: Request, draw: Draw, drawn: Drawn) -> Completion:
    return Completion(
        problem_id=request.problem_id,
        model=request.model,
        text=drawn.text,
        finish_reason=drawn.finish_reason,
        prompt_tokens=len(draw.prompt),
        completion_tokens=len(drawn.token_ids),
        sample=request.sample,
        passages=request.passages,
        entropy=drawn.entropy,
    )
