"""What a run would ask, compute and hold, from its parameters alone: nothing is downloaded, loaded or written.

Tokens are estimated from characters, proposals and drafts at their longest, memory by `mlpo.models.memory`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlpo.config import HOSTILE, AgentConfig, LeaderConfig, Params
from mlpo.models.model_info import model_shape
from mlpo.planning.prompt_lengths import Questions, read_questions, tokens_of
from mlpo.planning.stage_plans import ModelPlan, Planner, StagePlan
from mlpo.training.vllm_sampler import why_not_vllm
from mlpo.types import LEADER


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a run."""

    questions: Questions
    models: tuple[ModelPlan, ...]
    stages: tuple[StagePlan, ...]
    problems: tuple[str, ...]
    """Why it cannot work."""
    warnings: tuple[str, ...]


def make_plan(params: Params, *, memory_gb: float | None = None) -> Plan:
    """The plan, with what is wrong with it.

    Raises:
        ConfigError: the benchmark's rows are not what the parameters ask for.
    """
    questions = read_questions(params)
    configs: dict[str, AgentConfig | LeaderConfig] = {**params.team, LEADER: params.leader}
    models = tuple(_model(who, config) for who, config in configs.items())
    planner = Planner(params, questions, models)
    stages = tuple(planner.stages())
    problems = [*_missing_packages(models), *planner.too_long(questions.mean)]
    if params.train_mlpo.rollout_engine == "vllm" and params.train_mlpo.steps:
        problems += why_not_vllm(params.runtime)
    if memory_gb is not None:
        problems += _too_large(stages, memory_gb)
    warnings = [*_warnings(params, models)]
    if not problems:
        warnings += [f"the longest question: {said}" for said in planner.too_long(questions.longest)]
    return Plan(questions, models, stages, tuple(problems), tuple(warnings))


def _model(who: str, config: AgentConfig | LeaderConfig) -> ModelPlan:
    shape = model_shape(config.model, config.revision)
    if config.server is not None and config.server.serve is None:
        return ModelPlan(who, config, shape, "server")
    if config.model == HOSTILE:
        return ModelPlan(who, config, shape, "no model")
    return ModelPlan(who, config, shape, shape.source if shape else "not downloaded yet")


def _missing_packages(models: Sequence[ModelPlan]) -> Iterator[str]:
    for model in models:
        config = model.config
        if config.server is not None and config.server.serve and importlib.util.find_spec("vllm") is None:
            yield f"{model.who}: server.serve is vllm, which is not installed: pip install 'mlpo[gpu]'"
        quantized = isinstance(config, AgentConfig) and config.quantize
        if quantized and importlib.util.find_spec("bitsandbytes") is None:
            yield f"{model.who}: quantize needs bitsandbytes, which is not installed: pip install 'mlpo[gpu]'"


def _too_large(stages: Sequence[StagePlan], memory_gb: float) -> Iterator[str]:
    for stage in stages:
        if stage.memory and stage.memory.total > memory_gb * 10**9:
            mend = "lower runtime.batch_tokens or runtime.max_loaded_models, or quantize agents"
            if stage.steps:
                mend = (
                    "lower runtime.micro_batch_tokens, set lora or trainable_layers, or share the weights out over "
                    "more runtime.processes with runtime.shard"
                )
            yield f"{stage.name} needs about {stage.memory.total / 10**9:.1f} GB of {memory_gb:g}; {mend}"


def _warnings(params: Params, models: Sequence[ModelPlan]) -> Iterator[str]:
    for model in models:
        if model.shape is None and model.config.model != HOSTILE:
            yield f"{model.who}: the size of {model.config.model} is not known, so its memory is not"
    samplings = (params.demonstrate.sampling, *(agent.sampling for agent in params.team.values()))
    quoted = min(tokens_of(params.demonstrate.max_quoted_characters), max(s.max_tokens for s in samplings))
    if 2 * quoted > params.train_mlpo.max_completion_tokens:
        yield (
            f"a demonstration may quote two completions of about {quoted} tokens each, but the leader is cut at "
            f"{params.train_mlpo.max_completion_tokens} (train_mlpo.max_completion_tokens); lower "
            "demonstrate.max_quoted_characters"
        )
    if params.runtime.shard and params.runtime.processes == 1:
        yield "runtime.shard shares nothing out with runtime.processes 1, unless you start several processes yourself"
    if params.evaluate.rivals:
        yield "what evaluate.rivals ask is not counted"
