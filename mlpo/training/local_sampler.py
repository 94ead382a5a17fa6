"""The samplers that `train_mlpo.rollout_engine` names: our own, and vLLM."""

from __future__ import annotations

from collections.abc import Sequence

from mlpo.config import RuntimeConfig, TrainMlpoConfig
from mlpo.models.generate import Draw, Drawn, sample_tokens
from mlpo.training.sampler import Sampler
from mlpo.training.trainer_setup import naming_the_budget
from mlpo.training.vllm_sampler import VllmSampler
from mlpo.training.weights import WholeWeights


class OwnSampler:
    """`sample_tokens` in this process: from the leader itself in float32, else from a copy in the dtype computed in."""

    def __init__(self, weights: WholeWeights, batch_tokens: int) -> None:
        self._weights, self._batch_tokens = weights, batch_tokens
        self._sampled = weights.sampler()
        self.tokenizer = weights.leader.tokenizer

    def refresh(self) -> None:
        """Copy what training changes, if there is a copy; no dropout from now on."""
        self._weights.refresh(self._sampled)
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


def make_sampler(weights: WholeWeights, config: TrainMlpoConfig, runtime: RuntimeConfig) -> Sampler:
    """The sampler that `train_mlpo.rollout_engine` names.

    Raises:
        ConfigError: vLLM cannot hold this leader here.
    """
    if config.rollout_engine == "vllm":
        limit = config.max_logprob_difference
        return VllmSampler(weights, batch_tokens=runtime.batch_tokens, max_difference=limit)
    return OwnSampler(weights, runtime.batch_tokens)
