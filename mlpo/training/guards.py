"""Guards: a run that cannot learn is warned about, then stopped, with the parameter that is likely to blame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlpo.config import TrainMlpoConfig


class TrainingStopped(RuntimeError):  # noqa: N818 - it says what happened
    """A guard ended the training; going on would have wasted the time."""


@dataclass(frozen=True)
class _Guard:
    name: str
    trips: Callable[[Mapping[str, float]], bool]
    patience: int
    """Steps in a row that end the run; half as many warn."""
    what: str
    mend: str


class Guards:
    """Looks at every step's metrics. Its state is a function of the steps seen, so a resumed run replays them."""

    def __init__(self, config: TrainMlpoConfig, *, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._guards = _guards(config)
        self._in_a_row = dict.fromkeys((g.name for g in self._guards), 0)

    def observe(self, metrics: Mapping[str, float], *, quiet: bool = False) -> None:
        """Count one step.

        Args:
            quiet: replay of a step that was already warned about.
        Raises:
            TrainingStopped: a limit was passed for as long as it may be.
        """
        for guard in self._guards:
            count = self._in_a_row[guard.name] + 1 if guard.trips(metrics) else 0
            self._in_a_row[guard.name] = count
            steps = f"{count} step{'s' if count > 1 else ''} in a row" if guard.patience > 1 else "this step"
            message = f"{guard.what} ({steps}); {guard.mend}"
            if count >= guard.patience:
                raise TrainingStopped(f"step {metrics['step']:.0f}: {message}")
            if count == (guard.patience + 1) // 2 and not quiet:
                self._warn(f"step {metrics['step']:.0f}: {message}")


def _guards(config: TrainMlpoConfig) -> list[_Guard]:
    patience = config.max_zero_reward_steps
    longer = f"raise train_mlpo.max_completion_tokens (now {config.max_completion_tokens})"
    return [
        _Guard(
            "zero_reward",
            lambda m: m.get("correct", 0.0) == 0,
            patience,
            "no completion was correct",
            f"if many are truncated {longer}; else the problems are too hard for this leader: choose easier "
            "prepare.families, or raise train_sft.epochs",
        ),
        _Guard(
            "zero_signal",
            lambda m: m["zero_signal_share"] > config.max_zero_signal_share,
            patience,
            f"more than {config.max_zero_signal_share:.0%} of the groups had equal rewards, so nothing is learned",
            f"raise train_mlpo.group_size (now {config.group_size}) or train_mlpo.temperature (now "
            f"{config.temperature}), or choose problems that are sometimes solved (train_mlpo.easy_share)",
        ),
        _Guard(
            "kl",
            lambda m: m.get("kl", 0.0) > config.max_kl,
            1,
            f"the KL to the reference is above train_mlpo.max_kl = {config.max_kl}",
            f"lower train_mlpo.learning_rate (now {config.learning_rate}) or raise train_mlpo.beta (now {config.beta})",
        ),
        _Guard(
            "logprob_difference",
            lambda m: m.get("rollout_logprob_difference", 0.0) > config.max_logprob_difference,
            patience,
            "vLLM's log-probabilities differ from the trainer's by more than train_mlpo.max_logprob_difference = "
            f"{config.max_logprob_difference}",
            "set train_mlpo.rollout_engine to own, or raise the limit if vLLM computes this model otherwise by so much",
        ),
        _Guard(
            "not_finite",
            lambda m: not abs(m.get("loss", 0.0)) < float("inf") or not m.get("grad_norm", 0.0) < float("inf"),
            1,
            "the loss or its gradient is not a finite number",
            f"lower train_mlpo.learning_rate (now {config.learning_rate}), or set runtime.dtype to float32",
        ),
        _Guard(
            "reward_errors",
            lambda m: m["reward_error_rate"] > config.max_reward_errors,
            1,
            f"more than {config.max_reward_errors:.0%} of the rewards raised (train_mlpo.max_reward_errors)",
            "see the warnings above for what they raised",
        ),
    ]
