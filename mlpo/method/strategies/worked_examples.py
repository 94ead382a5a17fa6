"""Worked examples of the leader's task: a leader that was never trained is shown the form before it is judged."""

from __future__ import annotations

from collections.abc import Sequence

from mlpo.method.prompts import leader_messages, leader_text, solo_messages
from mlpo.method.seeds import derive_seed
from mlpo.method.selection import ProposalSet, draw_tuples
from mlpo.types import Message


def worked_examples(sets: Sequence[ProposalSet], num: int, seed: int, *, solo: bool = False) -> tuple[Message, ...]:
    """`num` problems with real proposals and the right answer in the leader's form, as alternating turns.

    They are training problems of as many families as there are, chosen by seed, and their teams are mixed where they
    can be: an example in which some proposals are wrong shows what a leader is for. This is ours; the paper does not
    say what the untrained leader is shown.

    Args:
        sets: proposals on training problems.
        solo: leave the team out, as in solo mode.
    """
    ranked = sorted(sets, key=lambda s: derive_seed(seed, "worked_examples", s.problem.id))
    waiting = sorted(ranked, key=lambda s: s.share_correct in (0, 1))  # mixed teams first
    turns: list[Message] = []
    seen: set[str] = set()
    for _ in range(min(num, len(waiting))):
        chosen = next((s for s in waiting if s.problem.family not in seen), waiting[0])
        waiting.remove(chosen)
        seen.add(chosen.problem.family)
        turns += _example(chosen, seed, solo=solo)
    return tuple(turns)


def _example(proposals: ProposalSet, seed: int, *, solo: bool) -> tuple[Message, Message]:
    problem = proposals.problem
    shown = draw_tuples(proposals, 1, seed)[0].proposals  # a mixed tuple where there is one
    prompt = solo_messages(problem) if solo else leader_messages(problem, shown)
    think = problem.solution or f"The answer is {problem.target}."
    return prompt[-1], Message("assistant", leader_text(think, problem.target))
