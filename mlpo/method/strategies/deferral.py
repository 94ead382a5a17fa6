"""A leader that defers: it reads the team's proposals and names one agent, whose answer counts.

    s_k ~ agent_k(x)                                              k = 1..K
    name ~ leader(x, s_1..s_K)
    answer = the answer of s_name

K + 1 generations. It writes no answer of its own, so it cannot pass `oracle_any`, and what a leader that writes adds to
one that only picks can be read from the difference. The prompt is ours; for the role see learning to defer (Mozannar
and Sontag, arXiv:2006.01862).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlpo.method.answers import agent_answer, plain_spans
from mlpo.method.prompts import AgentPrompt, leader_messages, leader_text
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalSet, draw_tuples
from mlpo.method.strategies.leader_rounds import agent_request, leader_request
from mlpo.method.strategies.messages import in_order
from mlpo.types import Completion, Message, Problem, Round, Sampling, StrategyRun, Transcript

DEFERRAL_SYSTEM = (
    "A team proposes answers; some members are wrong. Think, then name the one member whose answer is right, "
    "in the form <think>...</think><answer>member</answer>."
)


def deferral(
    problem: Problem,
    *,
    team: Sequence[AgentPrompt],
    sampling: Mapping[str, Sampling],
    leader_sampling: Sampling,
    seed: int,
    examples: tuple[Message, ...] = (),
    name: str = "deferral",
) -> StrategyRun:
    """One round: K proposals and a name. A text that names nobody, or several, gives no answer.

    Raises:
        ValueError: no agents, or two of one name.
    """
    ordered = in_order(problem, team, seed)
    proposals = yield [agent_request(problem, agent, sampling[agent.name], seed) for agent in ordered]
    messages = (Message("system", DEFERRAL_SYSTEM), *leader_messages(problem, proposals)[1:])
    drafts = yield [leader_request(problem, messages, leader_sampling, seed, examples=examples)]
    picked = read_pick(drafts[0], [agent.name for agent in ordered])
    answer = next((agent_answer(c, problem) for c in proposals if c.model == picked), None)
    return Transcript(problem.id, name, (Round(tuple(proposals), drafts[0], answer),), answer)


def read_pick(completion: Completion, names: Sequence[str]) -> str | None:
    """The one agent that a text names where an answer stands (see `plain_spans`); None if it is none or several."""
    if completion.finish_reason != "stop":
        return None
    for span in plain_spans(completion.text, "word"):
        words = set(re.findall(r"\w+", span.lower()))
        found = [name for name in names if name in words]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def deferral_examples(sets: Sequence[ProposalSet], num: int, seed: int) -> tuple[Message, ...]:
    """Training problems with a team of which some are right, and the name of one that is, as alternating turns.

    Args:
        sets: proposals on training problems.
    """
    turns: list[Message] = []
    for proposals in sorted(sets, key=lambda s: derive_seed(seed, "deferral_examples", s.problem.id)):
        shown = draw_tuples(proposals, 1, seed)[0].proposals  # a mixed tuple where there is one
        right = [c.model for c in shown if _is_right(c, proposals)]
        if 0 < len(right) < len(shown) and len(turns) < 2 * num:
            reply = leader_text(f"{right[0]} is right.", right[0])
            turns += [leader_messages(proposals.problem, shown)[-1], Message("assistant", reply)]
    return tuple(turns)


def _is_right(proposal: Completion, proposals: ProposalSet) -> bool:
    pairs = zip(proposals.proposals[proposal.model], proposals.correct[proposal.model], strict=True)
    return any(correct for completion, correct in pairs if completion == proposal)
