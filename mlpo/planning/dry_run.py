"""Prints what a run would do, and refuses one that cannot work; nothing is downloaded, loaded or written."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlpo.config import ConfigError, Params
from mlpo.models.memory import Memory
from mlpo.planning.plan import make_plan
from mlpo.planning.stage_plans import ModelPlan, StagePlan


def run(params: Params, console: Console, *, source: str, memory_gb: float | None = None) -> None:
    """Print the plan of `params`, which come from `source`.

    Raises:
        ConfigError: it cannot work; the message names every reason. The plan is printed before.
    """
    plan = make_plan(params, memory_gb=memory_gb)
    prepare = params.prepare
    console.print(
        f"[bold]{escape(source)}[/]: {prepare.benchmark}, {prepare.num_train:,} training, "
        f"{prepare.num_calibration:,} calibration and {prepare.num_test:,} test problems, seed {params.seed}; rows "
        f"from {plan.questions.source}; a question is about {plan.questions.mean} tokens, the longest "
        f"{plan.questions.longest}"
    )
    console.print(_models(plan.models))
    console.print(_stages(plan.stages))
    console.print("Tokens out and proposals are counted at their longest; memory is an estimate in GB (10^9 bytes).")
    for warning in plan.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    if plan.problems:
        raise ConfigError(f"{source} cannot work: {'; '.join(plan.problems)}")
    console.print("Nothing speaks against it." if memory_gb is None else f"It fits {memory_gb:g} GB by this estimate.")


def _models(models: Sequence[ModelPlan]) -> Table:
    table = Table("who", "model", "revision", "from", "parameters", "context", title="models")
    for model in models:
        config, shape = model.config, model.shape
        size = (f"{shape.parameters / 10**9:.2f} B", f"{shape.context:,}") if shape else ("?", "?")
        served = "vLLM, " if config.server is not None and config.server.serve else ""
        held = getattr(config, "quantize", None)
        name = f"{config.model}{f' ({held})' if held else ''}"
        table.add_row(model.who, escape(name), (config.revision or "-")[:8], escape(served + model.where), *size)
    return table


def _stages(stages: Sequence[StagePlan]) -> Table:
    numbers = ("prompts", "completions", "tokens in", "tokens out", "steps")
    parts = ("weights", "gradients", "Adam", "KV", "activations", "GB")
    table = Table("stage", title="stages")
    for name in (*numbers, *parts):
        table.add_column(name, justify="right")
    for stage in stages:
        counts = (stage.prompts, stage.completions, stage.tokens_in, stage.tokens_out, stage.steps)
        table.add_row(stage.name, *map(_count, counts), *_gigabytes(stage.memory))
    return table


def _count(number: int) -> str:
    if number >= 10**6:
        return f"{number / 10**6:,.1f} M"
    return f"{number:,}" if number else "-"


def _gigabytes(memory: Memory | None) -> list[str]:
    if memory is None:
        return ["-"] * 6
    parts = (memory.weights, memory.gradients, memory.optimizer, memory.keys, memory.activations, memory.total)
    return [f"{part / 10**9:.1f}" if part else "-" for part in parts]
