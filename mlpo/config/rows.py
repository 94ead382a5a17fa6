"""Parameters of the stages before training: prepare, propose, demonstrate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlpo.config.models import SamplingConfig
from mlpo.config.section import Section

ALL_FAMILIES = "all"
"""In `prepare.families`: every family of the benchmark."""


class PrepareConfig(Section):
    """Stage `prepare`: raw rows of a benchmark -> shots, train, calibration and test splits, disjoint by content."""

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
    num_calibration: int = Field(120, ge=0)
    """Calibration problems: thresholds and defaults are chosen on them, nothing is trained on them; 0 for none."""
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
    trust_share: float = Field(0.0, ge=0, le=1)
    """Share of those with a team that say which proposals speak of the question; ours, for agents with documents."""
