"""One more round with the agents during training: each sees its own proposal and the current leader's draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlpo.config import Params
from mlpo.inference.backend import Backend
from mlpo.inference.runner import run_strategies
from mlpo.method.agreement import with_agreement
from mlpo.method.answers import Equivalent, agent_answer, is_correct, parse_answer
from mlpo.method.prompts import AgentPrompt
from mlpo.method.strategies.leader_rounds import Share, agent_request, shown, surest_first
from mlpo.team.sampling import team_sampling
from mlpo.training.prompt_schedule import TrainingPrompt
from mlpo.types import Completion, Round, Sampling, StrategyRun, Transcript


class NextRound:
    """`next_round(prompts, drafts)`: the same prompts with what the agents propose after the drafts.

    What the paper's offline proposals lack: in evaluation, from round 1 on, the leader meets proposals that answer it.
    """

    def __init__(
        self, params: Params, team: Sequence[AgentPrompt], backends: Mapping[str, Backend], equivalent: Equivalent
    ) -> None:
        self._agents = {agent.name: agent for agent in team}
        self._sampling: Mapping[str, Sampling] = team_sampling(params)
        self._share: Share = params.rounds.share
        self._seed = params.seed
        self._backends = backends
        self._equivalent = equivalent
        self._num_samples = params.rounds.agreement_samples

    def __call__(self, prompts: Sequence[TrainingPrompt], drafts: Sequence[str]) -> list[TrainingPrompt]:
        """Ask all agents of all prompts at once, batched per model."""
        runs = (self._asked(prompt, draft) for prompt, draft in zip(prompts, drafts, strict=True))
        if self._num_samples > 1:
            runs = (with_agreement(run, p.problem, self._num_samples) for run, p in zip(runs, prompts, strict=True))
        transcripts = run_strategies(runs, self._backends)
        return [self._renewed(p, t.rounds[0].proposals) for p, t in zip(prompts, transcripts, strict=True)]

    def _asked(self, prompt: TrainingPrompt, draft: str) -> StrategyRun:
        problem = prompt.problem
        if self._share == "answer":
            draft = parse_answer(draft, problem.answer_kind, problem.choices) or ""
        proposals = yield [
            agent_request(
                problem,
                self._agents[proposal.model],
                self._sampling[proposal.model],
                self._seed,
                round_index=1,
                sample=proposal.sample,
                previous=proposal.text,
                draft=draft or None,
            )
            for proposal in prompt.proposals
        ]
        return Transcript(problem.id, "next_round", (Round(tuple(proposals)),), None)

    def _renewed(self, prompt: TrainingPrompt, proposals: tuple[Completion, ...]) -> TrainingPrompt:
        problem, proposals = prompt.problem, surest_first(proposals)
        flags = [is_correct(agent_answer(c, problem), problem, equivalent=self._equivalent) for c in proposals]
        return replace(prompt, proposals=shown(problem, proposals, self._share), num_correct=sum(flags), refresh=False)
