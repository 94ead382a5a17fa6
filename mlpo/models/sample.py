"""Sampling that reads a prompt once: the common prefix of a call, then each distinct prompt, then all its draws.

What one draw gets depends on its own prompt, sampling and seed, never on its neighbours (up to rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from mlpo.models.attention import SharedPrefix, layer_masks, slides
from mlpo.models.load import LoadedModel, end_token_ids
from mlpo.types import Sampling

MIN_SHARED_PREFIX = 8
"""A shorter common prefix is not worth a pass of its own, tokens."""
MAX_ROWS = 128
"""Rows of one batch. More does not pay: the matrix products are already efficient."""
NUCLEUS_CANDIDATES = 512
"""Tokens ranked before a full sort is needed to find the nucleus."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One completion wanted."""

    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One completion. `token_ids` hold the end token if it was drawn; `text` never does, nor a stop string."""

    token_ids: tuple[int, ...]
    finish_reason: Literal["stop", "length"]
    text: str


def sample_tokens(
    loaded: LoadedModel,
    draws: Sequence[Draw],
    *,
    batch_tokens: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Drawn]:
    """Draw every completion, in the order asked for.

    Args:
        batch_tokens: budget of one batch: rows x (longest prompt + longest completion), tokens.
        on_batch: called after each batch with the number of completions it finished.
    """
    results: dict[int, Drawn] = {}
    with torch.inference_mode():
        length = 0 if slides(loaded.model.config) else _shared_length([d.prompt for d in draws])
        prefix = _prefill_prefix(loaded, draws[0].prompt[:length]) if length else None
        for rows in _batches(draws, length, batch_tokens):
            batch = _Batch(loaded, [draws[i] for i in rows], prefix)
            results.update(zip(rows, batch.run(), strict=True))
            if on_batch:
                on_batch(len(rows))
    return [results[i] for i in range(len(draws))]


def _shared_length(prompts: Sequence[tuple[int, ...]]) -> int:
    """Length of the prefix all prompts share; every prompt keeps at least its last token for itself."""
    if len(set(prompts)) < 2:
        return 0
    low, high = min(prompts), max(prompts)
    limit = min(len(p) for p in prompts) - 1
    shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), limit)
    shared = min(shared, limit)
    return shared if shared >= MIN_SHARED_PREFIX else 0


def _batches(draws: Sequence[Draw], shared: int, batch_tokens: int) -> Iterator[list[int]]:
    """Rows of like length together, longest first, equal prompts side by side."""
    order = sorted(range(len(draws)), key=lambda i: (-len(draws[i].prompt), draws[i].prompt, i))
    batch: list[int] = []
    width = 0
    for i in order:
        own = len(draws[i].prompt) - shared + draws[i].sampling.max_tokens
        if batch and ((len(batch) + 1) * max(width, own) > batch_tokens or len(batch) == MAX_ROWS):
            yield batch
            batch, width = [], 0
        width = max(width, own)
        batch.append(i)
    if batch:
        yield batch


class _RowLayer(CacheLayerMixin):
    """Keys and values of one layer in a buffer that is allocated once and written in place."""

    is_sliding = False

    def __init__(self, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, heads, _, width = key_states.shape
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = key_states.new_empty(rows, heads, self.capacity, width)
        self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def take(self, rows: Tensor, capacity: int) -> _RowLayer:
        """These rows (repeats allowed) in a buffer of another size."""
        assert self.keys is not None
        assert self.values is not None
        taken = _RowLayer(capacity)
        keys, values = self.keys[:, :, : self.length], self.values[:, :, : self.length]
        taken.update(keys[rows], values[rows])
        return taken

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.capacity


def _row_cache(loaded: LoadedModel, capacity: int) -> Cache:
    layers = loaded.model.config.get_text_config().num_hidden_layers
    rows: list[Any] = [_RowLayer(capacity) for _ in range(layers)]
    return Cache(layers=rows)


def _take(cache: Cache, rows: Tensor, capacity: int) -> Cache:
    layers: list[Any] = [layer.take(rows, capacity) for layer in cache.layers if isinstance(layer, _RowLayer)]
    return Cache(layers=layers)


def _prefill_prefix(loaded: LoadedModel, tokens: tuple[int, ...]) -> SharedPrefix:
    cache = _row_cache(loaded, len(tokens))
    ids = torch.tensor([tokens], device=loaded.device)
    positions = torch.arange(len(tokens), device=loaded.device)[None]
    sees = torch.ones(1, len(tokens), len(tokens), dtype=torch.bool, device=loaded.device).tril()
    masks: Any = layer_masks(loaded.model.config, sees, positions, positions)
    loaded.model(input_ids=ids, attention_mask=masks, position_ids=positions, past_key_values=cache, logits_to_keep=1)
    layers: list[Any] = cache.layers
    return SharedPrefix(tuple(layer.keys for layer in layers), tuple(layer.values for layer in layers))


class _Batch:
    """Draws that advance together, one token a step; finished rows leave."""

    def __init__(self, loaded: LoadedModel, draws: Sequence[Draw], prefix: SharedPrefix | None) -> None:
        self.loaded = loaded
        self.draws = draws
        self.ends = end_token_ids(loaded)
        self.tokens: list[list[int]] = [[] for _ in draws]
        self.finish: list[Literal["stop", "length"] | None] = [None] * len(draws)
        self.uniforms = _uniforms(draws)
        self.prefix = prefix
        self.offset = prefix.length if prefix else 0
        self.longest = max(d.sampling.max_tokens for d in draws)

    def run(self) -> list[Drawn]:
        """Prefill, then decode until every row has ended."""
        logits, cache, sees, positions = self._prefill()
        active = list(range(len(self.draws)))
        for step in range(self.longest):
            chosen = self._choose(logits, active, step)
            for row, token in zip(active, chosen, strict=True):
                self._append(row, token)
            keep = [i for i, row in enumerate(active) if self.finish[row] is None]
            if not keep:
                break
            # Compacting copies the cache, so it waits until a quarter of the rows is idle.
            if len(keep) <= 0.75 * len(active):
                rows = torch.tensor(keep, device=self.loaded.device)
                cache, sees, positions = _take(cache, rows, sees.shape[1]), sees[rows], positions[rows]
                active, chosen = [active[i] for i in keep], [chosen[i] for i in keep]
            positions = positions + 1
            logits = self._decode(chosen, cache, sees, positions)
        return [self._drawn(row) for row in range(len(self.draws))]

    def _prefill(self) -> tuple[Tensor, Cache, Tensor, Tensor]:
        """Every distinct prompt once; returns the logits, cache, visible columns and last position of each draw."""
        device = self.loaded.device
        distinct = [prompt for prompt, _ in groupby(d.prompt for d in self.draws)]
        owner = torch.tensor([k for k, (_, g) in enumerate(groupby(d.prompt for d in self.draws)) for _ in g])
        columns = max(len(p) for p in distinct) - self.offset
        ids = torch.zeros(len(distinct), columns, dtype=torch.long)
        visible = torch.zeros(len(distinct), columns, dtype=torch.bool)
        for k, prompt in enumerate(distinct):
            own = prompt[self.offset :]
            ids[k, columns - len(own) :] = torch.tensor(own)
            visible[k, columns - len(own) :] = True
        ids, visible, owner = ids.to(device), visible.to(device), owner.to(device)
        positions = (visible.cumsum(1) - 1).clamp(min=0) + self.offset
        square = torch.ones(columns, columns, dtype=torch.bool, device=device)
        # A padding query sees itself, so that no row of the softmax is empty.
        sees = (square.tril() & visible[:, None, :]) | torch.eye(columns, dtype=torch.bool, device=device)
        cache = _row_cache(self.loaded, columns)
        logits = self._forward(ids, sees, positions, positions, cache)
        total = columns + self.longest
        shown = torch.zeros(len(self.draws), total, dtype=torch.bool, device=device)
        shown[:, :columns] = visible[owner]
        return logits[owner], _take(cache, owner, total), shown, positions[owner, -1]

    def _decode(self, chosen: Sequence[int], cache: Cache, sees: Tensor, positions: Tensor) -> Tensor:
        column = cache.get_seq_length()
        sees[:, column] = True
        seen = sees[:, : column + 1]
        ids = torch.tensor(chosen, device=self.loaded.device)[:, None]
        key_positions = seen.cumsum(1) - 1 + self.offset
        return self._forward(ids, seen[:, None, :], positions[:, None], key_positions, cache)

    def _forward(self, ids: Tensor, sees: Tensor, positions: Tensor, key_positions: Tensor, cache: Cache) -> Tensor:
        """Logits at the last column, [rows, V]."""
        masks: Any = layer_masks(self.loaded.model.config, sees, positions, key_positions)
        shared = {"shared_prefix": self.prefix} if self.prefix else {}
        logits: Tensor = self.loaded.model(
            input_ids=ids,
            attention_mask=masks,
            position_ids=positions,
            past_key_values=cache,
            logits_to_keep=1,
            **shared,
        ).logits
        return logits[:, -1]

    def _choose(self, logits: Tensor, active: Sequence[int], step: int) -> list[int]:
        samplings = [self.draws[row].sampling for row in active]
        if all(s.temperature == 0 for s in samplings):
            return [int(t) for t in logits.argmax(-1).tolist()]
        uniforms = torch.tensor(self.uniforms[list(active), step], device=logits.device)
        return choose_tokens(logits, samplings, uniforms)

    def _append(self, row: int, token: int) -> None:
        if self.finish[row] is not None:
            return
        self.tokens[row].append(token)
        sampling = self.draws[row].sampling
        if token in self.ends or (sampling.stop and self._stopped(row)):
            self.finish[row] = "stop"
        elif len(self.tokens[row]) >= sampling.max_tokens:
            self.finish[row] = "length"

    def _stopped(self, row: int) -> bool:
        text = self.loaded.tokenizer.decode(self.tokens[row])
        return any(stop in text for stop in self.draws[row].sampling.stop)

    def _drawn(self, row: int) -> Drawn:
        tokens, finish = self.tokens[row], self.finish[row]
        assert finish is not None
        text = str(self.loaded.tokenizer.decode([t for t in tokens if t not in self.ends]))
        cuts = [text.find(stop) for stop in self.draws[row].sampling.stop if stop in text]
        return Drawn(tuple(tokens), finish, text[: min(cuts)] if cuts else text)


def _uniforms(draws: Sequence[Draw]) -> np.ndarray[Any, Any]:
    longest = max(d.sampling.max_tokens for d in draws)
    uniforms = np.zeros((len(draws), longest))
    for row, draw in enumerate(draws):
        uniforms[row, : draw.sampling.max_tokens] = np.random.default_rng(draw.seed).random(draw.sampling.max_tokens)
    return uniforms


def choose_tokens(logits: Tensor, samplings: Sequence[Sampling], uniforms: Tensor) -> list[int]:
    """One token a row by inverse-CDF sampling: the smallest token whose cumulative probability exceeds u.

    Args:
        logits: [rows, V].
        samplings: one per row; temperature 0 takes the most likely token; top_p keeps the smallest set of most likely
            tokens whose mass reaches it (nucleus sampling, arXiv:1904.09751).
        uniforms: [rows] in [0, 1), float64.
    """
    device = logits.device
    temperature = torch.tensor([s.temperature or 1.0 for s in samplings], device=device)
    probs = torch.softmax(logits.float() / temperature[:, None], -1)
    chosen = torch.empty(len(samplings), dtype=torch.long, device=device)
    top_p = torch.tensor([s.top_p for s in samplings], device=device, dtype=torch.float64)
    greedy = torch.tensor([s.temperature == 0 for s in samplings], device=device)
    whole = ~greedy & (top_p >= 1)
    nucleus = ~greedy & (top_p < 1)
    if greedy.any():
        chosen[greedy] = logits[greedy].argmax(-1)
    if whole.any():
        chosen[whole] = _inverse_cdf(probs[whole].double().cumsum(-1), uniforms[whole])
    if nucleus.any():
        chosen[nucleus] = _nucleus(probs[nucleus], top_p[nucleus], uniforms[nucleus])
    return [int(t) for t in chosen.tolist()]


def _inverse_cdf(cumulative: Tensor, uniforms: Tensor) -> Tensor:
    """[rows, n] cumulative weights, [rows] in [0, 1) -> [rows] indices."""
    thresholds = (uniforms * cumulative[:, -1])[:, None]
    return torch.searchsorted(cumulative, thresholds, right=True)[:, 0].clamp(max=cumulative.shape[1] - 1)


def _nucleus(probs: Tensor, top_p: Tensor, uniforms: Tensor) -> Tensor:
    ranked, tokens = probs.topk(min(NUCLEUS_CANDIDATES, probs.shape[-1]), -1)
    if (ranked.double().sum(-1) < top_p).any():
        ranked, tokens = probs.sort(-1, descending=True)
    cumulative = ranked.double().cumsum(-1)
    size = (cumulative < top_p[:, None]).sum(-1, keepdim=True).clamp(max=cumulative.shape[1] - 1)
    mass = cumulative.gather(-1, size)
    place = torch.searchsorted(cumulative, uniforms[:, None] * mass, right=True)
    return tokens.gather(-1, torch.minimum(place, size))[:, 0]
