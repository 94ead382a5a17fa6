"""Sampling that reads a prompt once: the common prefix of a call, then each distinct prompt, then all its draws.

What one draw gets depends on its own prompt, sampling and seed, never on its neighbours (up to rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mlpo.models.attention import SharedKeys, layer_masks
from mlpo.models.ends import end_token_ids
from mlpo.models.kv_cache import KeyStore, fill_holes
from mlpo.models.lm_head import predictions
from mlpo.models.load import LoadedModel
from mlpo.models.prefill import ReadPrompts, hidden_states
from mlpo.models.sampling import choose_tokens, entropies_of
from mlpo.types import ENTROPY_PLACES, Sampling

MIN_SHARED_PREFIX = 8
"""A shorter common prefix is not worth a pass of its own, tokens."""
MAX_ROWS = 256
"""Rows of one batch. More does not pay: the matrix products are already efficient."""
CHOOSE_ROWS = 64
"""Rows whose logits are held at a time."""

OnToken = Callable[[int, Callable[[], str]], None]
"""(place of a draw, its text so far), after every token."""


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
    logprobs: tuple[float, ...] | None = None
    """Of each token at the sampling temperature, as who drew it says; None where nobody said."""
    entropy: float | None = None
    """Mean over its tokens, the end token too, of the distributions' entropy, nats; None unless wanted."""


def sample_tokens(
    loaded: LoadedModel,
    draws: Sequence[Draw],
    *,
    batch_tokens: int,
    on_batch: Callable[[int], None] | None = None,
    on_token: OnToken | None = None,
) -> list[Drawn]:
    """Draw every completion, in the order asked for.

    Args:
        batch_tokens: budget of one batch: distinct prompts x the longest + rows x the longest completion, tokens.
        on_batch: called after each batch with the number of completions it finished.
        on_token: called after each token of each draw.
    """
    results: dict[int, Drawn] = {}
    with torch.inference_mode():
        length = _shared_length([d.prompt for d in draws])
        prefix = ReadPrompts(loaded, [draws[0].prompt[:length]]) if length else None
        for rows in _batches(draws, length, batch_tokens):
            hear = partial(_hear, on_token, rows) if on_token else None
            batch = _Batch(loaded, [draws[i] for i in rows], prefix, hear)
            results.update(zip(rows, batch.run(), strict=True))
            if on_batch:
                on_batch(len(rows))
    return [results[i] for i in range(len(draws))]


def _hear(on_token: OnToken, rows: Sequence[int], row: int, text: Callable[[], str]) -> None:
    """A batch's rows by their places in the call."""
    on_token(rows[row], text)


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
    prompts = width = longest = 0
    for i in order:
        new = not batch or draws[i].prompt != draws[batch[-1]].prompt
        longest = max(longest, draws[i].sampling.max_tokens)
        if batch and ((prompts + new) * width + (len(batch) + 1) * longest > batch_tokens or len(batch) == MAX_ROWS):
            yield batch
            batch, prompts, new, longest = [], 0, True, draws[i].sampling.max_tokens
        if not batch:
            width = len(draws[i].prompt) - shared
        prompts += new
        batch.append(i)
    if batch:
        yield batch


class _Batch:
    """Draws that advance together, one token a step; finished rows leave."""

    def __init__(
        self, loaded: LoadedModel, draws: Sequence[Draw], prefix: ReadPrompts | None, on_token: OnToken | None
    ) -> None:
        self.loaded = loaded
        self.draws = draws
        self.prefix = prefix
        self.on_token = on_token
        self.ends = end_token_ids(loaded)
        self.tokens: list[list[int]] = [[] for _ in draws]
        self.finish: list[Literal["stop", "length"] | None] = [None] * len(draws)
        self.unsure = [d.sampling.entropy for d in draws]
        """Whose entropies are wanted."""
        self.entropies = [0.0] * len(draws)
        """Their sums so far."""
        self.uniforms = _uniforms(draws)
        self.read = ReadPrompts(loaded, [prompt for prompt, _ in groupby(d.prompt for d in draws)], prefix)
        self.grown = KeyStore(self.read.store.num_layers, len(draws), max(d.sampling.max_tokens for d in draws) - 1)
        self.active = list(range(len(draws)))
        """The draw of each row."""
        self.owner = [k for k, (_, same) in enumerate(groupby(d.prompt for d in draws)) for _ in same]
        """The prompt of each row, as it stands in `read` now."""
        self.lengths = self.read.lengths

    def run(self) -> list[Drawn]:
        """Decode until every row has ended."""
        hidden = self.read.states[torch.tensor(self.owner, device=self.loaded.device)]
        self._share()
        step = 0
        while True:
            for row, token in zip(self.active, self._choose(hidden, step), strict=True):
                self._append(row, token)
            if not self._drop_finished(step):
                break
            hidden = self._step(step)
            step += 1
        return [self._drawn(row) for row in range(len(self.draws))]

    def _drop_finished(self, columns: int) -> bool:
        """Let the living rows, and the prompts they need, move together; False if there is none."""
        alive = [self.finish[row] is None for row in self.active]
        if all(alive):
            return True
        kept = fill_holes(alive)
        self.grown.move(kept, columns)
        self.active, owner = [self.active[i] for i in kept], [self.owner[i] for i in kept]
        needed = set(owner)
        kept_prompts = fill_holes([k in needed for k in range(len(self.lengths))])
        self.lengths = [self.lengths[k] for k in kept_prompts]
        self.read.store.move(kept_prompts, max(self.lengths, default=0))
        now = {k: i for i, k in enumerate(kept_prompts)}
        self.owner = [now[k] for k in owner]
        if self.active:
            self._share()
        return bool(self.active)

    def _share(self) -> None:
        """Say which rows see which prompt, what of it, and from where on they write."""
        device, rows = self.loaded.device, len(self.active)
        members: list[list[int]] = [[] for _ in self.lengths]
        for row, prompt in enumerate(self.owner):
            members[prompt].append(row)
        most = max(map(len, members))
        places = torch.empty(rows, dtype=torch.long)
        for prompt, mine in enumerate(members):
            places[mine] = torch.arange(len(mine)) + prompt * most
            mine += [0] * (most - len(mine))
        columns = max(self.lengths)
        keys, values = self.read.store.part(len(self.lengths), columns)
        self.shared = [SharedKeys(keys, values, torch.tensor(members, device=device), places.to(device))]
        lengths = torch.tensor([self.lengths[k] for k in self.owner], device=device)[:, None]
        own = torch.arange(columns, device=device)
        self.sees, self.key_positions = own < lengths, (own + self.read.offset).expand(rows, -1)
        self.starts = lengths + self.read.offset
        if self.prefix:
            everyone = torch.arange(rows, device=device)
            store = self.prefix.store
            self.shared.insert(0, SharedKeys(store.keys, store.values, everyone[None], everyone))
            before = torch.arange(self.read.offset, device=device).expand(rows, -1)
            self.sees = torch.cat([torch.ones_like(before, dtype=torch.bool), self.sees], 1)
            self.key_positions = torch.cat([before, self.key_positions], 1)

    def _step(self, step: int) -> Tensor:
        """Feed each row its last token; returns the hidden states that the next are chosen from."""
        ids = torch.tensor([[self.tokens[row][-1]] for row in self.active], device=self.loaded.device)
        grown = self.starts + torch.arange(step + 1, device=self.loaded.device)
        sees = torch.cat([self.sees, torch.ones_like(grown, dtype=torch.bool)], 1)[:, None]
        positions = self.starts + step
        masks = layer_masks(self.loaded.model.config, sees, positions, torch.cat([self.key_positions, grown], 1))
        cache = self.grown.cache(0, step)
        return hidden_states(self.loaded, ids, masks, positions, cache, shared_keys=self.shared)[:, -1]

    def _choose(self, hidden: Tensor, step: int) -> list[int]:
        """The next token of every row; logits are large, so they are had for some rows at a time."""
        chosen: list[int] = []
        for first in range(0, len(self.active), CHOOSE_ROWS):
            rows = self.active[first : first + CHOOSE_ROWS]
            logits = predictions(self.loaded.model, hidden[first : first + CHOOSE_ROWS])
            self._add_entropies(rows, logits)
            samplings = [self.draws[row].sampling for row in rows]
            if all(s.temperature == 0 for s in samplings):
                chosen += logits.argmax(-1).tolist()
            else:
                uniforms = torch.tensor(self.uniforms[rows, step], device=logits.device)
                chosen += choose_tokens(logits, samplings, uniforms)
        return chosen

    def _add_entropies(self, rows: Sequence[int], logits: Tensor) -> None:
        places = [place for place, row in enumerate(rows) if self.unsure[row]]
        if places:
            asked = logits if len(places) == len(rows) else logits[places]
            for place, entropy in zip(places, entropies_of(asked), strict=True):
                self.entropies[rows[place]] += entropy

    def _append(self, row: int, token: int) -> None:
        self.tokens[row].append(token)
        sampling = self.draws[row].sampling
        if token in self.ends or (sampling.stop and self._stopped(row)):
            self.finish[row] = "stop"
        elif len(self.tokens[row]) >= sampling.max_tokens:
            self.finish[row] = "length"
        if self.on_token:
            self.on_token(row, partial(self._text, row))

    def _stopped(self, row: int) -> bool:
        text = self.loaded.tokenizer.decode(self.tokens[row])
        return any(stop in text for stop in self.draws[row].sampling.stop)

    def _drawn(self, row: int) -> Drawn:
        tokens, finish = self.tokens[row], self.finish[row]
        assert finish is not None
        entropy = round(self.entropies[row] / len(tokens), ENTROPY_PLACES) if self.unsure[row] else None
        return Drawn(tuple(tokens), finish, self._text(row), entropy=entropy)

    def _text(self, row: int) -> str:
        """What was drawn so far, without end token and stop string."""
        text = str(self.loaded.tokenizer.decode([t for t in self.tokens[row] if t not in self.ends]))
        cuts = [text.find(stop) for stop in self.draws[row].sampling.stop if stop in text]
        return text[: min(cuts)] if cuts else text


def _uniforms(draws: Sequence[Draw]) -> np.ndarray[Any, Any]:
    longest = max(d.sampling.max_tokens for d in draws)
    uniforms = np.zeros((len(draws), longest))
    for row, draw in enumerate(draws):
        uniforms[row, : draw.sampling.max_tokens] = np.random.default_rng(draw.seed).random(draw.sampling.max_tokens)
    return uniforms
