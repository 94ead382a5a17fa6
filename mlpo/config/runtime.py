"""Section `runtime`: how machines compute, which changes results only to rounding."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mlpo.config.section import Section


class RayConfig(Section):
    """Ray workers that make the proposals; each needs `pip install 'mlpo[ray]'` on its machine."""

    address: str | None = None
    """Of a running cluster, such as auto or 10.0.0.5:6379; null starts a Ray on this machine for the stage."""
    workers: int = Field(2, ge=1, le=4096)
    """Processes that each hold the agent's model, or a vLLM of their own, and answer 256 requests at a time."""
    cpus_per_worker: float = Field(1.0, gt=0)
    """Cores that Ray sets aside for each."""
    gpus_per_worker: float = Field(0.0, ge=0)
    """GPUs that Ray sets aside for each, and lets it see."""
    start_seconds: float = Field(900.0, gt=0)
    """Longest wait until all hold their model."""
    batch_seconds: float = Field(3600.0, gt=0)
    """Longest wait for 256 answers."""


class RuntimeConfig(Section):
    """How this machine computes. Changes results only to rounding."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"device", "max_loaded_models", "processes", "shard", "ray"})
    """They say where is computed. In which batches counts: another batch rounds otherwise."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """auto (CUDA where there is one, else the CPU), cpu, cuda or cuda:1. Apple's GPUs lack the float64 of sampling."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the device computes it natively, else float32."""
    batch_tokens: int = Field(16384, ge=64)
    """Token budget of one sampling batch (prompt and completion)."""
    max_loaded_models: int = Field(2, ge=1)
    """Models in memory at a time while a team answers; a team of K different ones and its leader fit at K + 1."""
    micro_batch_tokens: int = Field(4096, ge=64)
    """Token budget of one packed training row."""
    processes: int = Field(1, ge=1, le=1024)
    """Processes of this machine that train together, one a GPU; each does its share of a step."""
    shard: bool = False
    """Several processes share weights, gradients and Adam's state out (FSDP2); false holds all of them in each."""
    ray: RayConfig | None = None
    """Ray workers that make the proposals; null makes them in the stage's own process."""
