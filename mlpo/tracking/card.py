"""A leader's model card, by the conventions of the Hugging Face hub: metadata a machine reads, and text for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpo.tracking.candidate import Candidate
from mlpo.tracking.origin import ORIGINS, licence_of
from mlpo.types import LEADER

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"
DATASETS = {
    "bbh": "SaylorTwift/bbh",
    "gsm8k": "openai/gsm8k",
    "math": "EleutherAI/hendrycks_math",
    "math500": "HuggingFaceH4/MATH-500",
    "mmlu": "cais/mmlu",
}
"""The hub's name of a benchmark that is there."""
RULE_AND_STRATEGY = {"with its team": LEADER, "alone": f"{LEADER}_solo"}


def model_card(candidate: Candidate) -> str:
    """The text of README.md."""
    from huggingface_hub import ModelCard, ModelCardData

    params, base = candidate.params, candidate.params.leader.model
    dataset = DATASETS.get(params.prepare.benchmark)
    on_hub = ORIGINS.get(base, base)
    known = licence_of(base) != "other"
    data = ModelCardData(
        base_model=None if Path(base).exists() else on_hub,
        license=licence_of(base),
        license_name=None if known else "that-of-the-base-model",
        license_link=None if known else f"https://huggingface.co/{on_hub}",
        datasets=[dataset] if dataset else None,
        language="en",
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["mlpo", "multi-agent", "leader", "arxiv:2507.08960"],
        model_name=LEADER,
        eval_results=_results(candidate.metrics["strategies"], params.prepare.benchmark, dataset),
    )
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        base=on_hub,
        revision=params.leader.revision,
        params=params,
        team=params.team,
        with_team=candidate.example,
        alone=candidate.solo_example,
        num_problems=len(candidate.evaluation.scores),
        problems=candidate.evaluation.problems,
        table=candidate.table,
        data=candidate.data,
        weights=candidate.weights,
        licence=licence_of(base),
    )
    return str(card).rstrip() + "\n"


def _results(strategies: Mapping[str, Any], benchmark: str, dataset: str | None) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=dataset or benchmark,
            dataset_name=benchmark,
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"accuracy {rule}",
            metric_value=strategies[name]["accuracy"],
        )
        for rule, name in RULE_AND_STRATEGY.items()
        if name in strategies
    ]
