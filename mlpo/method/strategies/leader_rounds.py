"""The leader's rounds: agents propose, the leader drafts, agents see their own last proposal and the draft, and again.

    round 0:  s_k ~ agent_k(x)                                    k = 1..K, independent
              o   ~ leader(x, s_1..s_K)
    round t:  s_k ~ agent_k(x, its own last s_k, the leader's last o)
              o   ~ leader(x, s_1..s_K)
    answer =  the <answer> of the last round

Agents never see each other, and the leader never sees its former drafts (arXiv:2507.08960).
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from mlpo.method.answers import Reading, agent_answer, leader_answer
from mlpo.method.prompts import AgentPrompt, agent_messages, leader_messages
from mlpo.method.seeds import derive_seed
from mlpo.types import LEADER, Completion, Message, Problem, Request, Round, Sampling, StrategyRun, Transcript

Share = Literal["reasoning", "answer"]
"""What travels between leader and agents: whole texts, or parsed answers only."""
SAMPLE_TEMPERATURE, SAMPLE_TOP_P = 0.7, 0.95
"""Of a draft's further samples: those of self-consistency (arXiv:2203.11171, section 3.1)."""


def order_of(problem_id: str, names: Sequence[str], seed: int) -> tuple[str, ...]:
    """The agents as they are asked and shown to the leader: shuffled by problem, against position bias.

    Where they tell how sure they are, the leader is shown them as `surest_first` has them.
    """
    shuffled = list(names)
    random.Random(derive_seed(seed, "order", problem_id)).shuffle(shuffled)
    return tuple(shuffled)


def agent_request(
    problem: Problem,
    agent: AgentPrompt,
    sampling: Sampling,
    seed: int,
    *,
    round_index: int = 0,
    sample: int = 0,
    previous: str | None = None,
    draft: str | None = None,
) -> Request:
    """What an agent is asked. In round 0 it is the same for every strategy, so a cache pays for it once."""
    messages = agent_messages(agent, problem, previous=previous, draft=draft)
    request_seed = derive_seed(seed, agent.name, problem.id, round_index, sample)
    passages = agent.look_up(problem.question)
    return Request(problem.id, agent.name, messages, sampling, request_seed, sample, passages)


def leader_request(
    problem: Problem,
    messages: tuple[Message, ...],
    sampling: Sampling,
    seed: int,
    *,
    round_index: int = 0,
    sample: int = 0,
    examples: tuple[Message, ...] = (),
) -> Request:
    """What the leader is asked; `examples` are worked examples shown after the system message."""
    num_system = sum(message.role == "system" for message in messages[:1])
    whole = (*messages[:num_system], *examples, *messages[num_system:])
    request_seed = derive_seed(seed, LEADER, problem.id, round_index, sample)
    return Request(problem.id, LEADER, whole, sampling, request_seed, sample)


def surest_first(proposals: Sequence[Completion]) -> tuple[Completion, ...]:
    """As a leader is shown them: the surest first where agents tell how sure they are, else as they stand.

    Models lean towards what stands first (arXiv:2305.17926), so that place is for who is surest.
    """
    return tuple(sorted(proposals, key=lambda proposal: -(proposal.certainty or 0.0)))


@dataclass(frozen=True, slots=True)
class RoundRules:
    """Who takes part in the rounds, and how they go.

    Raises:
        ValueError: no agents, two of one name, or no rounds.
    """

    team: tuple[AgentPrompt, ...]
    sampling: Mapping[str, Sampling]
    leader_sampling: Sampling
    num_rounds: int
    seed: int
    share: Share = "reasoning"
    early_stop: bool = False
    """End after a round in which the leader repeats its last answer and every agent gives it too."""
    examples: tuple[Message, ...] = ()
    lenient: bool = False
    num_samples: int = 0
    """Further samples of every draft, whose agreement says how sure it is."""

    def __post_init__(self) -> None:
        """Refuse rounds that nobody can play."""
        names = [agent.name for agent in self.team]
        if not names or len(set(names)) < len(names) or self.num_rounds < 1:
            raise ValueError(
                "a leader needs agents of different names and at least 1 round, "
                f"got agents {names} and {self.num_rounds} rounds"
            )

    def ordered(self, problem: Problem) -> list[AgentPrompt]:
        """The team as the leader is shown it."""
        agents = {agent.name: agent for agent in self.team}
        return [agents[name] for name in order_of(problem.id, tuple(agents), self.seed)]


class Heard(NamedTuple):
    """What the agents hear of the round before."""

    previous: Mapping[str, str] = MappingProxyType({})
    """Agent -> its own last proposal."""
    draft: str | None = None


class Played(NamedTuple):
    """A round, how its draft was read, its draft's further samples, and what the next round hears of it."""

    round: Round
    reading: Reading
    samples: tuple[Completion, ...]
    heard: Heard


def leader_rounds(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    num_rounds: int,
    share: Share = "reasoning",
    early_stop: bool = False,
    seed: int,
    examples: tuple[Message, ...] = (),
    lenient: bool = False,
    name: str = LEADER,
) -> StrategyRun:
    """T rounds of K proposals and a draft: at most (K + 1) * T generations.

    With `early_stop` it ends after a round in which the leader repeats its last answer and every agent gives it too.

    Raises:
        ValueError: no agents, two of one name, or no rounds.
    """
    players = (tuple(team), sampling, leader_sampling)
    rules = RoundRules(*players, num_rounds, seed, share, early_stop, examples=examples, lenient=lenient)
    heard = Heard()
    rounds: list[Round] = []
    reading = Reading(None)
    for t in range(num_rounds):
        played, reading, _, heard = yield from one_round(problem, rules, heard, t)
        rounds.append(played)
        if early_stop and settled(rounds, problem):
            break
    return Transcript(problem.id, name, tuple(rounds), reading.answer, lenient=reading.lenient)


def one_round(
    problem: Problem, rules: RoundRules, heard: Heard, round_index: int
) -> Generator[list[Request], list[Completion], Played]:
    """Every agent proposes, the leader drafts: K + 1 generations, and the draft's further samples."""
    proposals = yield from propose(problem, rules, heard, round_index, rules.ordered(problem))
    return (yield from draft(problem, rules, heard, round_index, proposals))


def propose(
    problem: Problem, rules: RoundRules, heard: Heard, round_index: int, agents: Sequence[AgentPrompt]
) -> Generator[list[Request], list[Completion], tuple[Completion, ...]]:
    """These agents propose, each on its own."""
    answered = yield [
        agent_request(
            problem,
            agent,
            rules.sampling[agent.name],
            rules.seed,
            round_index=round_index,
            previous=heard.previous.get(agent.name),
            draft=heard.draft,
        )
        for agent in agents
    ]
    return tuple(answered)


def draft(
    problem: Problem, rules: RoundRules, heard: Heard, round_index: int, proposals: Sequence[Completion]
) -> Generator[list[Request], list[Completion], Played]:
    """The leader reads proposals and drafts; its draft's further samples are drawn with it."""
    proposals = surest_first(proposals)
    seen = shown(problem, proposals, rules.share)
    previous = {**heard.previous, **{c.model: c.text for c in seen if c.finish_reason != "error"}}
    drafted, *samples = yield draft_requests(
        problem, leader_messages(problem, seen), rules, round_index=round_index, examples=rules.examples
    )
    reading = leader_answer(drafted, problem, lenient=rules.lenient)
    told = shared(drafted, reading.answer, rules.share).text or None
    return Played(Round(proposals, drafted, reading.answer), reading, tuple(samples), Heard(previous, told))


def draft_requests(
    problem: Problem,
    messages: tuple[Message, ...],
    rules: RoundRules,
    *,
    round_index: int = 0,
    examples: tuple[Message, ...] = (),
) -> list[Request]:
    """The leader's draft, and the further samples that are wanted of it."""
    further = replace(rules.leader_sampling, temperature=SAMPLE_TEMPERATURE, top_p=SAMPLE_TOP_P, entropy=False)
    return [
        leader_request(
            problem,
            messages,
            further if sample else rules.leader_sampling,
            rules.seed,
            round_index=round_index,
            sample=sample,
            examples=examples,
        )
        for sample in range(1 + rules.num_samples)
    ]


def shared(completion: Completion, answer: str | None, share: Share) -> Completion:
    """The completion as others see it."""
    return completion if share == "reasoning" else replace(completion, text=answer or "")


def shown(problem: Problem, proposals: Sequence[Completion], share: Share) -> tuple[Completion, ...]:
    """Agents' completions as the leader sees them."""
    return tuple(shared(c, agent_answer(c, problem), share) for c in proposals)


def settled(rounds: Sequence[Round], problem: Problem) -> bool:
    """Did the leader give the same answer twice in a row, and did every agent of the last round give it too?"""
    if len(rounds) < 2 or rounds[-1].answer is None or rounds[-1].answer != rounds[-2].answer:
        return False
    return all(agent_answer(c, problem) == rounds[-1].answer for c in rounds[-1].proposals)
