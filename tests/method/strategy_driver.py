"""Drives a strategy by hand: whoever writes a test says what each model answers, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpo.method.prompts import AgentPrompt
from mlpo.method.strategies.leader_rounds import order_of
from mlpo.types import Completion, FinishReason, Problem, Request, Sampling, StrategyRun, Transcript

SUM = Problem("p1", "basics", "sum", "2 + 3?", "5", "integer")
TEAM = tuple(AgentPrompt(name, f"I am {name}.") for name in ("geo", "language", "number"))
SAMPLING = {agent.name: Sampling(temperature=0.7, max_tokens=12) for agent in TEAM}
DRAFT = Sampling(temperature=0.0, max_tokens=40)

ORDER = order_of(SUM.id, tuple(SAMPLING), 0)
"""The team as seed 0 orders it for `SUM`."""

Batch = Mapping[str, str] | Sequence[str]
"""What the models say to one batch: by model name, or in the order asked."""


def drive(run: StrategyRun, *batches: Batch) -> tuple[Transcript, list[list[Request]]]:
    """The transcript and what was asked. Each completion costs 10 + 3 tokens; "!" fails and "..." is cut off.

    Raises:
        AssertionError: the strategy asked for fewer or for more batches than there are.
    """
    asked: list[list[Request]] = [next(run)]
    for number, batch in enumerate(batches, start=1):
        requests = asked[-1]
        texts = [batch[r.model] for r in requests] if isinstance(batch, Mapping) else batch
        try:
            asked.append(run.send([_completion(r, text) for r, text in zip(requests, texts, strict=True)]))
        except StopIteration as end:
            assert number == len(batches), f"ended after {number} of {len(batches)} batches"
            transcript: Transcript = end.value
            assert sum(map(len, asked)) == len(transcript.completions), "a completion was paid for and is not told"
            return transcript, asked
    raise AssertionError(f"asks for more than {len(batches)} batches: {asked[-1]}")


def _completion(request: Request, text: str) -> Completion:
    if text == "!":
        return Completion(request.problem_id, request.model, "", "error", 0, 0, request.sample, "broken")
    reason: FinishReason = "length" if text.endswith("...") else "stop"
    return Completion(request.problem_id, request.model, text, reason, 10, 3, request.sample)
