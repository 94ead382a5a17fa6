"""How much memory of a device a model takes, estimated from its shape.

N parameters, L layers, h width, f inner width, k width of all keys, V vocabulary; bytes:

    weights        4 N in float32, 2 N in bfloat16, about N in 8 bits and 0.56 N in 4 bits
    keys, values   2 L k b      a token of a batch, in b bytes a value
    gradients      4 N'         of the N' parameters that are trained
    AdamW          8 N'         two moments in float32 (arXiv:1711.05101)
    reference      4 N'         only with beta > 0; what is not trained is shared with it
    sampling copy  2 N          only where bfloat16 is computed: the trained weights stay in float32
    vLLM           b N          its own weights instead of that copy, a pass of ENGINE_PASS_TOKENS, ENGINE_BYTES
    casts          2 N          where bfloat16 is computed from float32 weights: autocast's copies are kept for the
                                backward pass wherever gradients go through, trained or frozen
    activations    L (b (4 h + 2 k + 4 f) + 24 h)   a token of a packed row: the inputs of all products, norms and
                                                    residuals in float32; L trained layers, no scores
    mask           g b n^2      a packed row of n tokens, g query heads a key head: one for all layers
    logits         16 V         a predicted token: float32 logits, scaled, their softmax and its gradient

Shared out over r processes, each holds the r-th part of weights, gradients, AdamW and reference, and beside it, whole:

    sampling copy  b N          in any dtype: the shares cannot be sampled from
    gathered       b E          what computes and what is next: E weights are embeddings, head and two layers
    gradients      (b + 4) E'   of those, as they were found and in float32, until their sums are dealt out

After arXiv:2205.05198, section 4.1, for this code: no checkpointing of activations, a head at predicted tokens alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlpo.models.generate import CHOOSE_ROWS
from mlpo.models.identity import Quantization
from mlpo.models.model_info import ModelInfo
from mlpo.models.prefill import PASS_TOKENS

FLOAT32, BFLOAT16 = 4, 2
ENGINE_PASS_TOKENS = 4096
"""Tokens that an engine inside the training process reads at a time."""
ENGINE_BYTES = 10**9
"""CUDA graphs and workspaces of an engine, about."""
QUANTISED = {"8bit": 1.0, "4bit": 0.56}
"""Bytes a parameter, scales included."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, by what takes them."""

    weights: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    keys: float = 0.0
    """Keys and values."""
    activations: float = 0.0
    """Logits among them."""

    @property
    def total(self) -> float:
        """All together: an upper estimate, as not all is held at the same moment."""
        return self.weights + self.gradients + self.optimizer + self.keys + self.activations


def sampling_memory(
    shape: ModelInfo, *, batch_tokens: int, value_bytes: int, quantize: Quantization | None = None
) -> Memory:
    """Sampling with one model: its weights, a batch's keys and values, a pass over prompts, and logits of some rows."""
    logits = 3 * FLOAT32 * CHOOSE_ROWS * shape.vocabulary
    return Memory(
        weights=shape.parameters * (QUANTISED[quantize] if quantize else value_bytes),
        keys=key_bytes(shape, batch_tokens, value_bytes),
        activations=_pass_bytes(shape, min(batch_tokens, PASS_TOKENS), value_bytes) + logits,
    )


def training_memory(
    shape: ModelInfo, *, trained: int, layers: int, row_tokens: int, predicted: int, value_bytes: int,
    batch_tokens: int = 0, reference: bool = False, engine: bool = False, shards: int = 1,
) -> Memory:  # fmt: skip
    """Training: the module's formula for a packed row of `row_tokens`, `predicted` of them completion tokens.

    Args:
        trained: N', weights that change.
        layers: from the first that holds one on: nothing below is kept for the backward pass.
        value_bytes: of what is computed with, 2 under bfloat16.
        batch_tokens: of the roll-outs in between; 0 without any.
        engine: vLLM draws them, inside the training process.
        shards: r, processes that share the weights out; 1 holds all of them.
    """
    per_layer = value_bytes * (4 * shape.width + 2 * shape.key_width + 4 * shape.inner) + 24 * shape.width
    layer_weights = (shape.parameters - shape.embeddings) / shape.layers
    passed = shape.embeddings + layers * layer_weights if value_bytes == BFLOAT16 and shards == 1 else 0.0
    copied = batch_tokens > 0 and (engine or value_bytes == BFLOAT16 or shards > 1)
    gathered = shape.embeddings + 2 * layer_weights if shards > 1 else 0.0
    own_reference = (shape.parameters if shards > 1 else trained) if reference else 0
    inside = ENGINE_BYTES + _pass_bytes(shape, ENGINE_PASS_TOKENS, value_bytes) if engine else 0
    return Memory(
        weights=FLOAT32 * (shape.parameters + own_reference) / shards
        + value_bytes * (shape.parameters * copied + gathered)
        + BFLOAT16 * passed,
        gradients=FLOAT32 * trained / shards + (value_bytes + FLOAT32) * min(gathered, trained),
        optimizer=2 * FLOAT32 * trained / shards,
        keys=key_bytes(shape, batch_tokens, value_bytes),
        activations=row_tokens * layers * per_layer
        + shape.query_group * value_bytes * row_tokens**2
        + predicted * 4 * FLOAT32 * shape.vocabulary
        + inside,
    )


def _pass_bytes(shape: ModelInfo, tokens: int, value_bytes: int) -> float:
    """What a pass over `tokens` holds at a time."""
    return tokens * value_bytes * (4 * shape.width + 2 * shape.key_width + 3 * shape.inner)


def key_bytes(shape: ModelInfo, tokens: int, value_bytes: int) -> float:
    """Keys and values of so many tokens."""
    return 2 * shape.layers * shape.key_width * value_bytes * tokens
