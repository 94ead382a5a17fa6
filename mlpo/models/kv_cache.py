"""A KV cache that is allocated once and written in place, by prompts and by rows that grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class KeyStore:
    """Keys and values of every layer for a fixed number of rows and columns."""

    def __init__(self, num_layers: int, rows: int, columns: int) -> None:
        self.num_layers = num_layers
        self.shape = rows, columns
        self.keys: list[Tensor] = [torch.empty(0)] * num_layers
        self.values: list[Tensor] = [torch.empty(0)] * num_layers

    def write(self, layer: int, first: int, column: int, keys: Tensor, values: Tensor) -> None:
        """Put [rows, heads, new, width] at row `first` and column `column`; the first write allocates the layer."""
        if not self.keys[layer].numel():
            rows, columns = self.shape
            # Zeros: a short prompt's last columns stay unwritten, and a weight of 0 times NaN would be NaN.
            self.keys[layer] = keys.new_zeros(rows, keys.shape[1], columns, keys.shape[3])
            self.values[layer] = values.new_zeros(rows, values.shape[1], columns, values.shape[3])
        rows, _, new, _ = keys.shape
        self.keys[layer][first : first + rows, :, column : column + new] = keys
        self.values[layer][first : first + rows, :, column : column + new] = values

    def part(self, rows: int, columns: int) -> tuple[list[Tensor], list[Tensor]]:
        """Views of the first rows and columns, per layer."""
        return [k[:rows, :, :columns] for k in self.keys], [v[:rows, :, :columns] for v in self.values]

    def move(self, kept: Sequence[int], columns: int) -> None:
        """Row i becomes what row kept[i] was, over the first columns. Only rows that change are copied."""
        changed = [(to, source) for to, source in enumerate(kept) if to != source]
        if not changed or not columns:
            return
        for buffers in (self.keys, self.values):
            for buffer in buffers:
                to, source = torch.tensor(changed, device=buffer.device).unbind(1)
                buffer[to, :, :columns] = buffer[source, :, :columns]

    def cache(self, first: int, column: int, before: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None) -> Cache:
        """What a forward pass writes new keys through: at row `first`, from `column` on.

        Args:
            before: per layer [1, heads, K, width] that every row attends to before its own, written nowhere.
        """
        layers: list[Any] = [
            _Layer(self, i, first, column, (before[0][i], before[1][i]) if before else None)
            for i in range(len(self.keys))
        ]
        return Cache(layers=layers)


def fill_holes(alive: Sequence[bool]) -> list[int]:
    """Which old row becomes each new row, when the living ones at the end move into the places of the dead."""
    size = sum(alive)
    movers = (i for i in range(size, len(alive)) if alive[i])
    return [i if alive[i] else next(movers) for i in range(size)]


class _Layer(CacheLayerMixin):
    """One layer's part in one forward pass."""

    is_sliding = False

    def __init__(self, store: KeyStore, layer: int, first: int, column: int, before: tuple[Tensor, Tensor] | None):
        super().__init__()  # type: ignore[no-untyped-call]
        self.store, self.layer, self.first, self.column, self.before = store, layer, first, column, before
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """The store allocates."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.store.write(self.layer, self.first, self.column, key_states, value_states)
        rows, end = slice(self.first, self.first + key_states.shape[0]), self.column + key_states.shape[2]
        keys, values = self.store.keys[self.layer][rows, :, :end], self.store.values[self.layer][rows, :, :end]
        if self.before is None:
            return keys, values
        # A copy per row, of the size of one batch's activations: the fused kernel it allows is worth more.
        before_keys, before_values = (b.expand(len(keys), -1, -1, -1) for b in self.before)
        return torch.cat([before_keys, keys], 2), torch.cat([before_values, values], 2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.column + query_length, 0

    def get_seq_length(self) -> int:
        return self.column

    def get_max_length(self) -> int:
        return self.store.shape[1]
