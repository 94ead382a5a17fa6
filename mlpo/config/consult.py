"""Parameters of asking: when a leader asks its team at all, and what an answer may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlpo.config.section import Section


class ConsultConfig(Section):
    """When the leader asks its team: chosen on calibration problems, followed by evaluate, ask and serve."""

    when: Literal["always", "unsure", "never"] = "always"
    """unsure: the leader answers alone first and asks where its answer is too unsure; always makes no answer alone."""
    price: float = Field(0.0, ge=0)
    """Right answers that 1000 tokens (prompts and completions) are worth; thresholds are best after this price."""
    share: float | None = Field(0.5, ge=0, le=1)
    """At most this share of the calibration problems may ask; null leaves it to the price."""
    one_by_one: bool = False
    """The agents of the first round are asked one after another, until one of them is sure enough; then the leader
    drafts. It saves much of what a round costs where one agent knows and shows it (needs rounds.tell_certainty)."""
    samples: int = Field(0, ge=0, le=64)
    """Further samples of each answer whose agreement says how sure it is; 0 reads the answer's token distributions, for
    which a server has to tell log-probabilities."""
