"""The arithmetic of each stage: prompts, completions, tokens, steps and memory, from parameters and shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlpo.config import AgentConfig, LeaderConfig, Params
from mlpo.evaluation.routing import has_documents
from mlpo.evaluation.strategies import num_drafts, num_partial_drafts
from mlpo.method.prompts import LEADER_SYSTEM, NOTE
from mlpo.models.memory import BFLOAT16, FLOAT32, Memory, sampling_memory, training_memory
from mlpo.models.model_info import ModelInfo
from mlpo.planning.prompt_lengths import Questions, tokens_of
from mlpo.stages.demonstrate import MAX_OWN_SHOTS
from mlpo.training.prompt_schedule import num_planned_prompts, num_sft_steps
from mlpo.types import LEADER

MESSAGE_TOKENS = 8
"""A chat template's tokens around a message."""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """One member of the run."""

    who: str
    config: AgentConfig | LeaderConfig
    shape: ModelInfo | None
    where: str


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage: counts are of prompts and completions, tokens are estimates."""

    name: str
    prompts: int = 0
    completions: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    steps: int = 0
    memory: Memory | None = None
    """None where nothing is held here, or the model's size is not known."""


class Planner:
    """The arithmetic of each stage."""

    def __init__(self, params: Params, questions: Questions, models: Sequence[ModelPlan]) -> None:
        self.params, self.questions = params, questions
        self.models = {model.who: model for model in models}
        runtime = params.runtime
        on_gpu = runtime.dtype == "auto" and runtime.device.startswith("cuda")
        self.value_bytes = BFLOAT16 if on_gpu or runtime.dtype == "bfloat16" else FLOAT32
        self.shards = runtime.processes if runtime.shard else 1

    def stages(self) -> Iterator[StagePlan]:
        """In the order they run."""
        params, prepare = self.params, self.params.prepare
        asked_once = prepare.num_calibration + prepare.num_test
        prompts = prepare.num_train + asked_once
        yield StagePlan("prepare", prompts=prompts)
        for who, agent in params.team.items():
            asked = prepare.num_train * params.propose.samples + asked_once
            read, drawn = self.agent_prompt(agent, self.questions.mean), agent.sampling.max_tokens
            memory = self.sampling(self.models[who])
            yield StagePlan(f"propose@{who}", prompts, asked, prompts * read, asked * drawn, memory=memory)
        yield self.demonstrate()
        yield self.train_sft()
        if prepare.num_calibration:
            yield self.headroom()
        yield self.train_mlpo()
        if prepare.num_calibration:
            yield self.calibrate()
        yield self.evaluate()

    def agent_prompt(self, agent: AgentConfig, question: int, *, again: bool = False) -> int:
        """An agent's prompt, tokens; from round 1 on its last proposal, the draft and the question come again."""
        shots, looked_up = sum(agent.shots.values()), self.looked_up(agent)
        example = looked_up + self.questions.mean + self.questions.solution
        tokens = tokens_of(len(agent.system)) + shots * example + looked_up + question
        messages = bool(agent.system) + 2 * shots + 1
        if again:
            tokens += agent.sampling.max_tokens + self.params.rounds.max_draft_tokens + looked_up + question
            messages += 2
        return tokens + messages * MESSAGE_TOKENS

    def looked_up(self, agent: AgentConfig) -> int:
        """The passages before a question at their longest, tokens; a benchmark's are as long as a worked answer."""
        if agent.reference is None:
            return 0
        passage = tokens_of(agent.reference.max_characters)
        if agent.reference.benchmark:
            passage = min(passage, self.questions.solution)
        return agent.reference.top_k * (passage + tokens_of(len(NOTE)))

    def leader_prompt(self, question: int) -> int:
        """The leader's prompt with every proposal at its longest, tokens."""
        named = sum(agent.sampling.max_tokens + MESSAGE_TOKENS for agent in self.params.team.values())
        return tokens_of(len(LEADER_SYSTEM)) + question + named + 2 * MESSAGE_TOKENS

    def demonstrate(self) -> StagePlan:
        """The untrained leader alone."""
        prompts, q = self.params.prepare.num_train, self.questions
        asked = prompts * self.params.demonstrate.leader_samples
        shots = MAX_OWN_SHOTS if self.params.prepare.num_shots else 0
        read = prompts * (q.mean + shots * (q.mean + q.solution + 2 * MESSAGE_TOKENS))
        memory = self.sampling(self.models[LEADER])
        out = asked * self.params.demonstrate.sampling.max_tokens
        return StagePlan("demonstrate", prompts, asked, read, out, memory=memory)

    def train_sft(self) -> StagePlan:
        """The warm start, with as many demonstrations as may be kept."""
        config, draft = self.params.train_sft, self.params.rounds.max_draft_tokens
        rows = self.params.demonstrate.max_demonstrations * config.epochs
        prompt = self.leader_prompt(self.questions.mean)
        tokens = self.params.runtime.micro_batch_tokens
        memory, shape = None, self.models[LEADER].shape
        if shape and rows:
            memory = training_memory(
                shape,
                trained=shape.trained_parameters(config.trainable_layers, config.lora),
                layers=config.trainable_layers or shape.layers,
                row_tokens=tokens,
                predicted=tokens * draft // (prompt + draft),
                value_bytes=self.value_bytes,
                shards=self.shards,
            )
        return StagePlan("train_sft", rows, rows, rows * prompt, rows * draft, num_sft_steps(rows, config), memory)

    def train_mlpo(self) -> StagePlan:
        """Roll-outs and updates."""
        config, runtime = self.params.train_mlpo, self.params.runtime
        prompts, prompt = num_planned_prompts(config), self.leader_prompt(self.questions.mean)
        drawn, memory = prompts * config.group_size, None
        if (shape := self.models[LEADER].shape) and config.steps:
            room = max(runtime.micro_batch_tokens - prompt, config.max_completion_tokens)
            memory = training_memory(
                shape,
                trained=shape.trained_parameters(config.trainable_layers, config.lora),
                layers=config.trainable_layers or shape.layers,
                row_tokens=runtime.micro_batch_tokens,
                predicted=min(config.group_size * config.max_completion_tokens, room),
                value_bytes=self.value_bytes,
                batch_tokens=runtime.batch_tokens,
                reference=config.beta > 0,
                engine=config.rollout_engine == "vllm",
                shards=self.shards,
            )
        out = drawn * config.max_completion_tokens
        return StagePlan("train_mlpo", prompts, drawn, prompts * prompt, out, config.steps, memory)

    def headroom(self) -> StagePlan:
        """The SFT leader alone on calibration problems."""
        asked, draft = self.params.prepare.num_calibration, self.params.rounds.max_draft_tokens
        read = asked * (tokens_of(len(LEADER_SYSTEM)) + self.questions.mean)
        return StagePlan("headroom", asked, asked, read, asked * draft, memory=self.sampling(self.models[LEADER]))

    def calibrate(self) -> StagePlan:
        """The leader alone and all its answers on calibration problems; the first proposals are kept."""
        params, q = self.params, self.questions
        drafts, answers = num_drafts(params), 1 + params.consult.samples
        agents = [(agent, params.rounds.num_rounds - 1) for agent in params.team.values()]
        read = (drafts // answers - 1) * self.leader_prompt(q.mean) + tokens_of(len(LEADER_SYSTEM)) + q.mean
        read += sum(n * self.agent_prompt(agent, q.mean, again=True) for agent, n in agents)
        out = drafts * params.rounds.max_draft_tokens
        out += sum(n * agent.sampling.max_tokens for agent, n in agents)
        problems = params.prepare.num_calibration
        asked = problems * (drafts + sum(n for _, n in agents))
        return StagePlan("calibrate", asked, asked, problems * read, problems * out, memory=self.together())

    def evaluate(self) -> StagePlan:
        """Leaders with the team, trained ones alone too; round 0 of the agents is kept from `propose`."""
        params, num_test = self.params, self.params.prepare.num_test
        rounds, draft = params.rounds.num_rounds, params.rounds.max_draft_tokens
        leaders = params.evaluate.leaders
        alone = len({*leaders} - {"untrained"}) + params.evaluate.self_consistency_samples
        alone += len({*leaders} - {"mlpo"}) if has_documents(params) else 0  # with all documents, passages not counted
        partial = num_partial_drafts(params)
        leader = len(leaders) * rounds + alone + partial
        further = params.rounds.agreement_samples - 1  # of round 0, for all leaders
        agents = [(a, len(leaders) * (rounds - 1) * (1 + further) + further) for a in params.team.values()]
        read = (len(leaders) * rounds + partial) * self.leader_prompt(self.questions.mean)
        read += alone * self.questions.mean
        read += sum(n * self.agent_prompt(a, self.questions.mean, again=True) for a, n in agents)
        out = leader * draft + sum(n * a.sampling.max_tokens for a, n in agents)
        asked = num_test * (leader + sum(n for _, n in agents))
        return StagePlan("evaluate", asked, asked, num_test * read, num_test * out, memory=self.together())

    def sampling(self, model: ModelPlan) -> Memory | None:
        """One model that samples: None behind somebody's server."""
        config, runtime = model.config, self.params.runtime
        if model.shape is None or (config.server is not None and config.server.serve is None):
            return None
        quantize = config.quantize if isinstance(config, AgentConfig) else None
        value_bytes = self.value_bytes if config.server is None else BFLOAT16
        return sampling_memory(
            model.shape, batch_tokens=runtime.batch_tokens, value_bytes=value_bytes, quantize=quantize
        )

    def together(self) -> Memory | None:
        """As many different models as stay loaded, the largest ones, one of them at work."""
        held = {}
        for model in self.models.values():
            if (memory := self.sampling(model)) is not None:
                config = model.config
                kind = (config.model, config.revision, getattr(config, "quantize", None), model.who == LEADER)
                held[kind] = memory
        largest = sorted(held.values(), key=lambda m: m.weights, reverse=True)[: self.params.runtime.max_loaded_models]
        if not largest:
            return None
        busiest = max(largest, key=lambda m: m.total - m.weights)
        return replace(busiest, weights=sum(m.weights for m in largest))

    def too_long(self, question: int) -> Iterator[str]:
        """Prompts that do not fit, for a question of so many tokens."""
        params, runtime = self.params, self.params.runtime
        for who, agent in params.team.items():
            wanted = self.agent_prompt(agent, question, again=params.rounds.num_rounds > 1) + agent.sampling.max_tokens
            shape = self.models[who].shape
            if shape and wanted > shape.context:
                yield (
                    f"{who} would read and write about {wanted:,} tokens, over the context of {shape.context:,}; "
                    "lower its sampling.max_tokens or shots, or rounds.max_draft_tokens"
                )
        longest = max(params.train_mlpo.max_completion_tokens, params.rounds.max_draft_tokens)
        wanted, shape = self.leader_prompt(question) + longest, self.models[LEADER].shape
        if shape and wanted > shape.context:
            yield (
                f"the leader would read and write about {wanted:,} tokens, over its context of {shape.context:,}; "
                "lower the agents' sampling.max_tokens or train_mlpo.max_completion_tokens"
            )
        wanted = self.leader_prompt(question) + params.train_mlpo.max_completion_tokens
        if params.train_mlpo.steps and wanted > runtime.micro_batch_tokens:
            yield (
                f"a prompt and one completion are about {wanted:,} tokens, over runtime.micro_batch_tokens "
                f"{runtime.micro_batch_tokens:,}; raise it, or lower the agents' sampling.max_tokens"
            )
        if params.train_mlpo.rollout_engine == "vllm" and wanted > runtime.batch_tokens:
            yield f"vLLM has keys for runtime.batch_tokens {runtime.batch_tokens:,}, not for {wanted:,}; raise it"
