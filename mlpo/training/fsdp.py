"""Weights, gradients and optimizer state shared out: each of n processes holds the n-th part of every tensor.

ZeRO stage 3 (arXiv:1910.02054) as torch's `fully_shard` does it, called FSDP2: before a decoder layer computes, its
weights are gathered from all processes, and after its backward pass the sums of its gradients are dealt out again.
Roll-outs never run through it: they decode for as long as each process likes, with a whole copy of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from mlpo.models.lm_head import GATHERING, read_at
from mlpo.models.load import LoadedModel, decoder
from mlpo.training.distributed import Ranks
from mlpo.training.weights import K, P, WholeWeights, remade


def hold_weights(
    leader: LoadedModel, dtype: torch.dtype, ranks: Ranks, *, shard: bool, with_reference: bool = False
) -> WholeWeights:
    """All weights in this process, or its share of them if there are others to share with."""
    kind = ShardedWeights if shard and ranks.count > 1 else WholeWeights
    return kind(leader, dtype, ranks, with_reference=with_reference)


class ShardedWeights(WholeWeights):
    """This process's share, in float32; what is computed with is gathered in the dtype that is computed in.

    The leader is emptied: its weights are no more in memory than they have to be until `give_back`.
    """

    def __init__(self, leader: LoadedModel, dtype: torch.dtype, ranks: Ranks, *, with_reference: bool = False) -> None:
        self._mesh = init_device_mesh(ranks.device.type, (ranks.count,))
        super().__init__(leader, dtype, ranks, with_reference=with_reference)
        for weight in leader.model.parameters():
            weight.data = weight.data.new_empty(0)

    def sampler(self) -> LoadedModel:
        """A whole model beside the shares: the leader if it lies where is computed, else a copy."""
        if (self.leader.device, self.leader.dtype) == (self.device, self.dtype):
            self.give_back()
            return self.leader
        shares = self._shares()
        model = remade(self.leader.model, lambda weight: self.whole(shares[weight], self.dtype))
        return replace(self.leader, model=model.eval(), device=self.device, dtype=self.dtype)

    def levelled(self, parts: Sequence[P], idle: Callable[[], P]) -> list[P]:
        """As many passes as the busiest process makes, as each gathers weights from all; idle ones add nothing."""
        most = self.ranks.largest(len(parts))
        return [*parts, *(idle() for _ in range(most - len(parts)))]

    def sum_gradients(self) -> None:
        """Nothing is left to do: each backward pass dealt out its sums."""

    def gathered(self, tensors: Mapping[K, Tensor]) -> dict[K, Tensor]:
        """Whole tensors one after another, kept on the CPU of the first process alone."""
        found = {}
        for key, tensor in tensors.items():
            whole = self.whole(tensor, tensor.dtype)
            if self.ranks.is_main:
                found[key] = whole.cpu()
        return found

    def whole(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """Gathered from all processes, if it is shared out: what the optimizer counts is not."""
        if not isinstance(weight, DTensor):
            return weight
        share: Any = weight.detach().to(dtype)
        full: Tensor = share.full_tensor()
        return full

    def own_part(self, whole: Tensor, weight: Tensor) -> Tensor:
        """Every process has read the whole one; nothing is sent."""
        assert isinstance(weight, DTensor)
        return distribute_tensor(whole.to(weight.device), self._mesh, weight.placements, src_data_rank=None)

    def give_back(self) -> None:
        """Put what was trained into the leader, in every process."""
        for weight, share in self._shares().items():
            weight.data = self.whole(share, weight.dtype).to(weight.device)

    def _shares(self) -> dict[nn.Parameter, Tensor]:
        """The leader's weights, each with this process's share of it."""
        shares = dict(self.model.named_parameters())
        return {weight: shares[name] for name, weight in self.leader.model.named_parameters()}

    def _find_device(self) -> torch.device:
        return self.ranks.device

    def _model_to_train(self) -> PreTrainedModel:
        return self._sharded(remade(self.leader.model, Tensor.detach))

    def _frozen(self) -> PreTrainedModel:
        frozen = remade(self.leader.model, Tensor.detach).eval().requires_grad_(False)
        return self._sharded(frozen)

    def _sharded(self, model: PreTrainedModel) -> PreTrainedModel:
        """Share out each decoder layer, then what is left: embeddings and head together, as they may be one weight."""
        policy = MixedPrecisionPolicy()
        if self.dtype != torch.float32:
            policy = MixedPrecisionPolicy(param_dtype=self.dtype, reduce_dtype=torch.float32)
        for layer in decoder(model).layers:
            fully_shard(layer, mesh=self._mesh, mp_policy=policy)
        fully_shard(model, mesh=self._mesh, mp_policy=policy, reshard_after_forward=True)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)  # a step's loss is a sum over processes, not their mean
                module.set_force_sum_reduction_for_comms(True)  # gloo knows no reduction that divides
        setattr(model, GATHERING, MethodType(read_at, model))
        register_fsdp_forward_method(model, GATHERING)
        return model
