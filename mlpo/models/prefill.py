"""Prefill: each distinct prompt is run once; its KV cache and last hidden state are kept for every draw from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from mlpo.models.attention import layer_masks
from mlpo.models.kv_cache import KeyStore
from mlpo.models.load import LoadedModel

CPU_PASS_TOKENS = 512
"""Tokens of one pass on a CPU: a layer's activations stay in its caches."""
PASS_TOKENS = 16384
"""Tokens of one pass elsewhere."""


class ReadPrompts:
    """The keys and values of some prompts, left-aligned, and the last state of each."""

    def __init__(
        self, loaded: LoadedModel, prompts: Sequence[tuple[int, ...]], prefix: ReadPrompts | None = None
    ) -> None:
        """`prompts` come longest first; each begins with the one prompt of `prefix`, which is not read again."""
        self.offset = prefix.lengths[0] if prefix else 0
        """Tokens of the prefix."""
        self.lengths: list[int] = [len(p) - self.offset for p in prompts]
        """Tokens after the prefix."""
        self.store = KeyStore(loaded.model.config.get_text_config().num_hidden_layers, len(prompts), self.lengths[0])
        self._before = (prefix.store.keys, prefix.store.values) if prefix else None
        budget = CPU_PASS_TOKENS if loaded.device.type == "cpu" else PASS_TOKENS
        own = [p[self.offset :] for p in prompts]
        states = []
        first = 0
        while first < len(own):
            some = own[first : first + max(1, budget // len(own[first]))]
            states.append(self._pass(loaded, some, first))
            first += len(some)
        self.states = torch.cat(states)
        """[prompts, width]: the last hidden state of each prompt's last token."""

    def _pass(self, loaded: LoadedModel, own: Sequence[tuple[int, ...]], first: int) -> Tensor:
        device, columns = loaded.device, len(own[0])
        # Padding stands behind a prompt's own tokens, so the causal mask alone hides it from them.
        ids = torch.tensor([p + (0,) * (columns - len(p)) for p in own], device=device)
        key_positions = torch.arange(self.offset + columns, device=device)[None]
        positions = key_positions[:, self.offset :]
        sees = torch.ones(1, columns, self.offset + columns, dtype=torch.bool, device=device).tril(self.offset)
        masks = layer_masks(loaded.model.config, sees, positions, key_positions)
        states = hidden_states(loaded, ids, masks, positions, self.store.cache(first, 0, self._before))
        last = torch.tensor([len(p) - 1 for p in own], device=device)
        return states[torch.arange(len(own), device=device), last]


def hidden_states(
    loaded: LoadedModel,
    ids: Tensor,
    masks: Tensor | dict[str, Tensor],
    positions: Tensor,
    cache: Cache,
    **shared: Any,
) -> Tensor:
    """The last hidden states of [rows, columns] tokens: [rows, columns, width]."""
    backbone: Any = loaded.model.base_model
    states: Tensor = backbone(
        input_ids=ids, attention_mask=masks, position_ids=positions, past_key_values=cache, **shared
    ).last_hidden_state
    return states
