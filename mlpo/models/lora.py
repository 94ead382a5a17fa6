"""Low-rank adapters: few weights are trained, and once they are merged the leader is a plain model again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mlpo.config import ConfigError, LoraConfig
from mlpo.models.load import trainable_parameters


class Adapters:
    """W + (alpha / rank) B A in place of W, for each linear layer chosen; B starts at 0, so nothing changes at first.

    LoRA, arXiv:2106.09685, section 4.1, by the library peft.
    """

    def __init__(self, model: PreTrainedModel, config: LoraConfig, *, seed: int) -> None:
        """Put adapters into the model and let gradients reach them only; `seed` decides how A starts.

        Raises:
            ConfigError: no layer has a name in `target_modules`.
        """
        from peft import LoraConfig as PeftConfig
        from peft import LoraModel

        settings = PeftConfig(
            r=config.rank,
            lora_alpha=config.alpha,  # type: ignore[arg-type] # peft divides it, and takes any number
            lora_dropout=config.dropout,
            target_modules=list(config.target_modules) or "all-linear",
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            try:
                self._tuner: Any = LoraModel(model, settings, "default")
            except ValueError as error:
                names = sorted({name.rpartition(".")[2] for name, m in model.named_modules() if _is_linear(m)})
                raise ConfigError(
                    f"lora.target_modules: {' '.join(str(error).split())} Linear layers here: {', '.join(names)}"
                ) from None

    def merge(self) -> None:
        """Add the adapters to the weights and take them out: the model has its own parts again."""
        self._tuner.merge_and_unload()


def _is_linear(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear)


def plain_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """What training changes, by the names a model without adapters has: trained weights, or W + (alpha / rank) B A."""
    from peft.tuners.lora import Linear

    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]
    for name, module in adapted:
        base: Any = module.get_base_layer()
        yield f"{name}.weight", base.weight + module.get_delta_weight("default")
    if not adapted:
        yield from ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def choose_trained(
    model: PreTrainedModel, trainable_layers: int | None, lora: LoraConfig | None, *, seed: int
) -> Adapters | None:
    """Let gradients reach what the parameters choose: everything, the last layers, or adapters that are put in here."""
    if lora is not None:
        return Adapters(model, lora, seed=seed)
    trainable_parameters(model, trainable_layers)
    return None
