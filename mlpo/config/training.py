"""Parameters of the stages that train: train_sft, train_mlpo."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from mlpo.config.section import Section


class LoraConfig(Section):
    """Low-rank adapters (arXiv:2106.09685) that are trained instead of the weights, and merged into them at the end."""

    rank: int = Field(16, ge=1, le=1024)
    """Each adapter holds (inputs + outputs) x rank weights; gradients and Adam's state are of that size."""
    alpha: float = Field(32.0, gt=0)
    """What an adapter adds is scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of an adapter's inputs that are dropped in training."""
    target_modules: tuple[str, ...] = ()
    """Names of the linear layers that get one, such as q_proj; empty is every linear layer but the head."""


class TrainSftConfig(Section):
    """Stage `train_sft`: the warm start."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"save_steps"})
    """When a run is saved is not what it computes."""

    epochs: int = Field(1, ge=0, le=100)
    """Passes over the demonstrations; 0 skips the warm start (ablation: MLPO without SFT)."""
    learning_rate: float = Field(5e-5, gt=0, lt=1)
    """Peak of a rate that falls linearly to 0; the method leaves it open, smaller models want more."""
    batch_size: int = Field(16, ge=1)
    """Demonstrations per optimizer step."""
    warmup_steps: int = Field(2, ge=0)
    """Optimizer steps over which the rate rises to its peak."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's decoupled weight decay (arXiv:1711.05101)."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are cut to it."""
    trainable_layers: int | None = Field(None, ge=1)
    """Train only the last n decoder layers and the final norm; null trains all. Fewer cost less time and memory."""
    lora: LoraConfig | None = None
    """Train low-rank adapters of all layers instead of weights; null trains weights. Not with trainable_layers."""
    save_steps: int = Field(10, ge=1)
    """Optimizer steps between checkpoints."""

    @model_validator(mode="after")
    def _trains_one_part(self) -> TrainSftConfig:
        _check_one_part(self.lora, self.trainable_layers)
        return self


class TrainMlpoConfig(Section):
    """Stage `train_mlpo`: GRPO on prompts that hold the agents' proposals."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset(
        {
            *("save_steps", "max_zero_reward_steps", "max_zero_signal_share", "max_kl"),
            *("max_reward_errors", "max_logprob_difference"),
        }
    )
    """They say when a run is saved or stopped, and never what it computes."""

    steps: int = Field(24, ge=0)
    """Optimizer steps."""
    prompts_per_step: int = Field(8, ge=1)
    """P: distinct prompts per step."""
    group_size: int = Field(8, ge=2)
    """G: completions per prompt."""
    learning_rate: float = Field(2e-5, gt=0, lt=1)
    """1e-6 suits 7B models; small models want more."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps over which the rate rises; `schedule` says how it goes on."""
    schedule: Literal["constant", "linear"] = "constant"
    """After the rise the rate stays, or falls linearly to 0 after the last step (the default of TRL's GRPOTrainer)."""
    temperature: float = Field(1.0, gt=0, le=5)
    """Sampling temperature of the roll-outs."""
    rollout_engine: Literal["own", "vllm"] = "own"
    """Who draws the roll-outs: our sampler, or vLLM inside the training process, at the same seeds other tokens."""
    max_completion_tokens: int = Field(48, ge=1)
    """L: longest leader completion, and the constant the loss is divided by in dr_grpo."""
    loss_type: Literal["dr_grpo", "grpo"] = "dr_grpo"
    """dr_grpo divides by the constant L (arXiv:2503.20783); grpo by each completion's length (arXiv:2402.03300)."""
    scale_rewards: bool = False
    """Divide advantages by the group's standard deviation (arXiv:2402.03300, eq. 1)."""
    epsilon_low: float = Field(0.2, ge=0, lt=1)
    """The ratio is clipped below at 1 - epsilon_low (PPO, arXiv:1707.06347)."""
    epsilon_high: float = Field(0.2, ge=0)
    """The ratio is clipped above at 1 + epsilon_high; above epsilon_low is clip-higher (DAPO, arXiv:2503.14476)."""
    beta: float = Field(0.0, ge=0)
    """Weight of the k3 KL to the reference model; at 0 no reference model is held."""
    updates_per_batch: int = Field(1, ge=1, le=16)
    """Optimizer steps on one batch of roll-outs; 1 is on-policy."""
    format_weight: float = Field(0.1, ge=0)
    """Reward of a well-formed completion; 0 is AggLM's reward (arXiv:2509.06870)."""
    use_team: bool = True
    """False trains single-model GRPO: the same objective with no proposals in any prompt."""
    solo_share: float = Field(0.25, ge=0, le=1)
    """Share of prompts with no team block; 0 is the paper's reading."""
    team_sizes: Literal["full", "random"] = "full"
    """random: a team is 1 to K of the K agents, each number as often; the case 0 is `solo_share`. Ours."""
    shuffle_order: bool = False
    """Every prompt draws the order of its team anew, against a liking for places (arXiv:2305.17926)."""
    hostile_share: float = Field(0.0, ge=0, le=1)
    """Share of prompts with a team and no refreshed proposals, in one of which a hostile agent speaks. Ours."""
    failure_weight: float = Field(0.0, ge=0, le=1)
    """f: problems meet the team as often as 1 - f q says, q the leader's own accuracy (cf. DAPO, arXiv:2503.14476)."""
    easy_threshold: float = Field(0.75, gt=0, le=1)
    """A problem is easy when at least this share of its proposals is correct (the paper's filter)."""
    easy_share: float = Field(0.2, ge=0)
    """Easy problems kept, as a share of the number of hard ones (AggLM keeps 0.5)."""
    tuples_per_problem: int = Field(4, ge=1)
    """S: distinct tuples of one proposal per agent, drawn per problem."""
    rounds_in_training: float = Field(0.0, ge=0, le=1)
    """Share of prompts whose proposals are re-sampled against the current leader's draft."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are cut to it."""
    trainable_layers: int | None = Field(None, ge=1)
    """Train only the last n decoder layers; null trains all."""
    lora: LoraConfig | None = None
    """Train low-rank adapters of all layers instead of weights; null trains weights. Not with trainable_layers."""
    save_steps: int = Field(8, ge=1)
    """Optimizer steps between checkpoints."""
    max_zero_reward_steps: int = Field(8, ge=1)
    """Guard: stop after this many steps in a row in which every `correct` reward was 0."""
    max_zero_signal_share: float = Field(0.95, gt=0, le=1)
    """Guard: stop when the share of groups with equal rewards stays above this for `max_zero_reward_steps` steps."""
    max_kl: float = Field(10.0, gt=0)
    """Guard: stop when the KL to the reference exceeds this."""
    max_logprob_difference: float = Field(0.2, gt=0)
    """Guard: stop when vLLM's log-probabilities are on average further from the trainer's, nats a token: at once for a
    probe after a weight sync, after `max_zero_reward_steps` steps for completions."""
    max_reward_errors: float = Field(0.05, ge=0, le=1)
    """Guard: stop when a larger share of rewards raised."""

    @model_validator(mode="after")
    def _trains_one_part(self) -> TrainMlpoConfig:
        _check_one_part(self.lora, self.trainable_layers)
        return self


def _check_one_part(lora: LoraConfig | None, trainable_layers: int | None) -> None:
    if lora is not None and trainable_layers is not None:
        raise ValueError("lora and trainable_layers each choose what is trained; set one of them to null")
