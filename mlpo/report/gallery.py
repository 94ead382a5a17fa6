"""Which plots there are: one list for the page, for DVC, for MLflow and for Prefect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpo.files import replace_file
from mlpo.report.consult_plots import consult_curve_plot, reliability_plot
from mlpo.report.drawing import png
from mlpo.report.strategy_plots import accuracy_plot, differences_plot, generations_plot, rounds_plot, tokens_plot
from mlpo.report.team_plots import agreement_plot, position_plot, team_plot
from mlpo.report.training_plots import Curve, loss_plot, reward_plot, signal_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plot(NamedTuple):
    """A plot that can be drawn."""

    name: str
    """Of its file, and of its place on the page."""
    section: str
    """Of the page: strategies, costs, team or training."""
    title: str
    note: str
    """What to look for."""
    draw: Callable[[], Figure]


def plots(metrics: Mapping[str, Any], *, sft_curve: Curve, mlpo_curve: Curve, confidence: float = 0.95) -> list[Plot]:
    """Every plot that these results have, in reading order.

    Args:
        sft_curve, mlpo_curve: a curve without columns has no plots.
    """
    level = {"confidence": confidence}
    of_metrics = [
        Plot(
            "accuracy", "strategies", "Accuracy",
            "The dashed line is the share of problems on which at least one agent is right: no choice among the "
            "team's answers can pass it; a leader that finds answers of its own can.",
            partial(accuracy_plot, metrics, **level),
        ),
        Plot(
            "differences", "strategies", "Differences",
            "Green: the leader with its team is better. Orange: worse. Grey: not told apart.",
            partial(differences_plot, metrics, **level),
        ),
        Plot(
            "tokens", "costs", "Accuracy against tokens",
            "Higher and further left is better. The scale is logarithmic.",
            partial(tokens_plot, metrics),
        ),
        Plot(
            "generations", "costs", "Accuracy against generations",
            "What it costs where a generation is a request that has to be waited for.",
            partial(generations_plot, metrics),
        ),
        Plot("rounds", "team", "By round", "What the answer is worth after each round.", partial(rounds_plot, metrics)),
        Plot(
            "team", "team", "By the number of correct proposals",
            "Left: is a team that is wrong rescued? Right: is a team that is right followed?",
            partial(team_plot, metrics, **level),
        ),
        Plot(
            "position", "team", "By place",
            "Only one proposal is right: without position bias it is as often found wherever it stands.",
            partial(position_plot, metrics, **level),
        ),
        Plot(
            "agreement", "team", "By agreement",
            "How often the vote is right where so many agree is how far the team's agreement can be trusted.",
            partial(agreement_plot, metrics, **level),
        ),
    ]  # fmt: skip
    return of_metrics + _of_asking(metrics) + _of_training(sft_curve, mlpo_curve)


def _of_asking(metrics: Mapping[str, Any]) -> list[Plot]:
    """Asking only when unsure, where it was measured."""
    if not metrics.get("consult"):
        return []
    return [
        Plot(
            "consult", "costs", "Asking only when unsure",
            "Every point of a line is a threshold below which the leader, having answered alone, asks its team. "
            "Crosses: what is always played. The ring is the threshold that calibration problems chose.",
            partial(consult_curve_plot, metrics),
        ),
        Plot(
            "reliability", "team", "How sure, and how often right",
            "On the diagonal a leader that is 70 % sure is right in 70 % of the cases. AUC is the share of pairs in "
            "which the right answer is surer than the wrong one.",
            partial(reliability_plot, metrics),
        ),
    ]  # fmt: skip


def _of_training(sft_curve: Curve, mlpo_curve: Curve) -> list[Plot]:
    found = []
    if mlpo_curve:
        found += [
            Plot(
                "reward", "training", "MLPO: reward", "Means over the roll-outs of a step.",
                partial(reward_plot, mlpo_curve),
            ),
            Plot(
                "signal", "training", "MLPO: lost signal",
                "Groups whose rewards are all equal teach nothing; a truncated roll-out earns nothing.",
                partial(signal_plot, mlpo_curve),
            ),
        ]  # fmt: skip
    if sft_curve:
        note = "Cross-entropy of the demonstrations, in nats a token."
        found.append(Plot("sft_loss", "training", "Warm start: loss", note, partial(loss_plot, sft_curve)))
    return found


def write_plots(plots: Sequence[Plot], folder: Path) -> None:
    """Write <name>.png of each plot to `folder`, and remove pictures that are none of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.png")) - {folder / f"{plot.name}.png" for plot in plots}:
        stale.unlink()
    for plot in plots:
        replace_file(folder / f"{plot.name}.png", png(plot.draw))
