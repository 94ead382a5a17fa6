"""The samplers that `train_mlpo.rollout_engine` names: our own, and vLLM."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mlpo.config import RuntimeConfig, TrainMlpoConfig
from mlpo.models.load import LoadedModel
from mlpo.models.sample import Draw, Drawn, sample_tokens
from mlpo.training.engine import VllmSampler
from mlpo.training.machine import copy_in, copy_weights, naming_the_budget
from mlpo.training.ranks import Ranks
from mlpo.training.sampler import Sampler


class OwnSampler:
    """`sample_tokens` in this process: from the leader itself in float32, else from a copy in the dtype computed in."""

    def __init__(self, leader: LoadedModel, dtype: torch.dtype, batch_tokens: int) -> None:
        self._leader, self._batch_tokens = leader, batch_tokens
        self._sampled = leader if dtype == torch.float32 else copy_in(leader, dtype)
        self.tokenizer = leader.tokenizer

    def refresh(self) -> None:
        """Copy what training changes, if there is a copy; no dropout from now on."""
        if self._sampled is not self._leader:
            copy_weights(self._leader.model, self._sampled.model)
        self._sampled.model.eval()

    def sample(self, draws: Sequence[Draw]) -> list[Drawn]:
        """As `sample_tokens`.

        Raises:
            ConfigError: out of memory; the message names the budget.
        """
        with naming_the_budget("sampling", "runtime.batch_tokens", self._batch_tokens):
            return sample_tokens(self._sampled, draws, batch_tokens=self._batch_tokens)

    def close(self) -> None:
        """The copy goes with this object."""


def make_sampler(
    leader: LoadedModel, dtype: torch.dtype, config: TrainMlpoConfig, runtime: RuntimeConfig, ranks: Ranks
) -> Sampler:
    """The sampler that `train_mlpo.rollout_engine` names.

    Args:
        dtype: what is computed in.
    Raises:
        ConfigError: vLLM cannot hold this leader here.
    """
    if config.rollout_engine == "vllm":
        limit = config.max_logprob_difference
        return VllmSampler(leader, dtype, batch_tokens=runtime.batch_tokens, max_difference=limit, ranks=ranks)
    return OwnSampler(leader, dtype, runtime.batch_tokens)
