"""The weights that are trained, where a process holds all of them, and the copies that are made of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from mlpo.models.load import LoadedModel
from mlpo.training.distributed import Ranks

K = TypeVar("K", bound=Hashable)
P = TypeVar("P")


class WholeWeights:
    """What a trainer does with the leader's weights beside computing: the same calls where they are shared out.

    Every process of a training makes every call, in the same order.
    """

    def __init__(self, leader: LoadedModel, dtype: torch.dtype, ranks: Ranks, *, with_reference: bool = False) -> None:
        """
        Args:
            leader: in float32, with gradients asked for where it is to be trained.
            dtype: to compute in.
            with_reference: keep the model as it is now, for the KL of beta > 0.
        """
        self.leader, self.dtype, self.ranks = leader, dtype, ranks
        self.device = self._find_device()
        self.model = self._model_to_train()
        """What goes through the model in an update goes through this one."""
        self.reference = self._frozen() if with_reference else None

    def sampler(self) -> LoadedModel:
        """What roll-outs come from: a whole model in the dtype that is computed in, the leader itself or a copy."""
        return self.leader if self.dtype == self.leader.dtype else copy_in(self.leader, self.dtype)

    def refresh(self, sampler: LoadedModel) -> None:
        """Bring a sampler up to date: only what training changes is copied."""
        if sampler.model is self.model:
            return
        own = dict(sampler.model.named_parameters())
        with torch.no_grad():
            for name, weight in trainable_weights(self.model).items():
                own[name].copy_(self.whole(weight, own[name].dtype))

    def levelled(self, parts: Sequence[P], idle: Callable[[], P]) -> list[P]:
        """What this process passes through the model in an update: here the parts it has."""
        return list(parts)

    def sum_gradients(self) -> None:
        """Put together what all processes found."""
        self.ranks.add_gradients(trainable_weights(self.model).values())

    def gathered(self, tensors: Mapping[K, Tensor]) -> dict[K, Tensor]:
        """Weights, or what the optimizer keeps of one, whole and to be written: in the first process, else nothing."""
        return {key: tensor.detach() for key, tensor in tensors.items()} if self.ranks.is_main else {}

    def whole(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """A weight, all of it."""
        return weight

    def own_part(self, whole: Tensor, weight: Tensor) -> Tensor:
        """What this process holds of a tensor that belongs to a weight."""
        return whole

    def give_back(self) -> None:
        """Put what was trained into the leader. Here it never left."""

    def _find_device(self) -> torch.device:
        return self.leader.device

    def _model_to_train(self) -> PreTrainedModel:
        return self.leader.model

    def _frozen(self) -> PreTrainedModel:
        return frozen_copy(self.model)


def trainable_weights(model: nn.Module | None) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name; tied ones once."""
    assert model is not None
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def remade(model: PreTrainedModel, weight: Callable[[nn.Parameter], Tensor]) -> PreTrainedModel:
    """The same modules around other weights: `weight` makes each of its original, and tied ones stay tied.

    Buffers are copied as they are. Rotary frequencies are such: rounded to bfloat16 they would move a token at
    position 1,000 by up to four places.
    """
    made: dict[int, Any] = {id(w): nn.Parameter(weight(w), requires_grad=w.requires_grad) for w in model.parameters()}
    return copy.deepcopy(model, made)


def copy_in(leader: LoadedModel, dtype: torch.dtype) -> LoadedModel:
    """A copy of the leader to sample from, in another dtype."""
    model = remade(leader.model, lambda weight: weight.detach().to(dtype, copy=True))
    return replace(leader, model=model.eval(), dtype=dtype)


def frozen_copy(model: PreTrainedModel) -> PreTrainedModel:
    """The model as it is now, for good. What training does not change is shared, not copied."""
    frozen = remade(model, lambda weight: weight.detach().clone() if weight.requires_grad else weight.detach())
    frozen.eval().requires_grad_(False)
    return frozen
