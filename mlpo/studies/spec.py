"""Studies, ablations as data: a YAML says what varies over one base, on which seeds, and what is compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from mlpo.config import ConfigError, Params, Section, parse_params, raw_params
from mlpo.config.overrides import merge
from mlpo.layout import PARAMS
from mlpo.suggestion import suggestion
from mlpo.types import LEADER

STUDIES = Path("configs/studies")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Variant(Section):
    """One row of a study: what it changes, and whose leader plays."""

    about: str = ""
    """What it is, in the words of the table; empty is its name."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Laid over the base. Mappings are merged, all else is replaced; null takes an agent out of the team."""
    leader: str | None = None
    """The variant whose trained leader plays under these parameters; null trains one of its own."""


class Comparison(Section):
    """Accuracy of one strategy minus that of another, paired by problem."""

    variant: str
    """Where the first strategy played."""
    strategy: str = LEADER
    """Its name in metrics.json."""
    other: str | None = None
    """Where the other one played; null is the same variant."""
    other_strategy: str | None = None
    """Its name; null is the same strategy."""

    @model_validator(mode="after")
    def _compares_two(self) -> Comparison:
        if (self.variant, self.strategy) == self.second:
            raise ValueError("compares a strategy with itself; name `other` or `other_strategy`")
        return self

    @property
    def first(self) -> tuple[str, str]:
        """Variant and strategy whose accuracy counts positively."""
        return self.variant, self.strategy

    @property
    def second(self) -> tuple[str, str]:
        """Variant and strategy whose accuracy is subtracted."""
        return self.other or self.variant, self.other_strategy or self.strategy


class Study(Section):
    """A question, and the runs that answer it."""

    title: str
    """Heading of its table."""
    question: str
    """What it asks, one or two sentences."""
    params: str = str(PARAMS)
    """The file of parameters it starts from."""
    base: dict[str, Any] = Field(default_factory=dict)
    """Laid over that file, for every variant."""
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    """Every variant runs once with each; a problem's scores are averaged over them before problems are compared."""
    variants: dict[Name, Variant] = Field(min_length=1)
    """The rows, in order. The first is what the others are compared with."""
    compare_with_first: bool = True
    """Whether every other variant's leader is compared with the first one's."""
    comparisons: tuple[Comparison, ...] = ()
    """More pairs. All pairs of a study are one family for Holm's correction."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Study:
        for name, variant in self.variants.items():
            if variant.leader is not None:
                _check_known(f"variants.{name}.leader", variant.leader, self.variants)
                if self.variants[variant.leader].leader is not None:
                    raise ValueError(f"variants.{name}.leader: {variant.leader} trains none itself; name one that does")
        for number, comparison in enumerate(self.comparisons):
            for compared in (comparison.first[0], comparison.second[0]):
                _check_known(f"comparisons.{number}", compared, self.variants)
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed is named twice")
        if "seed" in self.base or any("seed" in variant.set for variant in self.variants.values()):
            raise ValueError("seed: is set by `seeds`; leave it out of base and variants")
        return self

    @property
    def all_comparisons(self) -> tuple[Comparison, ...]:
        """Those with the first variant, then those that are listed."""
        first, *others = self.variants
        implied = [Comparison(variant=name, other=first) for name in others] if self.compare_with_first else []
        return (*implied, *(c for c in self.comparisons if c not in implied))


def load_study(root: Path, name: str) -> Study:
    """Read configs/studies/<name>.yaml and check every variant against params.yaml.

    Raises:
        ConfigError: there is no such study, or something in it is unknown or illegal; the message says where.
    """
    known = study_names(root)
    if name not in known:
        raise ConfigError(f"study {name} is unknown; {suggestion(name, known)} ({STUDIES}/<name>.yaml)")
    source = STUDIES / f"{name}.yaml"
    try:
        raw = yaml.safe_load((root / source).read_text(encoding="utf-8"))
        study = Study.model_validate(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(source, dict(e)) for e in error.errors())) from None
    for variant in study.variants:
        variant_params(root, study, variant, source=f"{source}: variants.{variant}")
    return study


def study_names(root: Path) -> list[str]:
    """The studies of a checkout, by name."""
    return sorted(path.stem for path in (root / STUDIES).glob("*.yaml"))


def variant_raw(root: Path, study: Study, variant: str, seed: int | None = None) -> dict[str, Any]:
    """A variant's whole parameters as params.yaml would have them."""
    merged = merge(merge(raw_params(root / study.params), study.base), study.variants[variant].set)
    return merged if seed is None else merge(merged, {"seed": seed})


def variant_params(
    root: Path, study: Study, variant: str, seed: int | None = None, *, source: str = "a study"
) -> Params:
    """A variant's parameters, checked; `source` names them in errors."""
    return parse_params(variant_raw(root, study, variant, seed), source=source)


def _check_known(where: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise ValueError(f"{where}: variant {name} is unknown; {suggestion(name, names)}")


def _explain(source: Path, error: dict[str, Any]) -> str:
    """One error of pydantic's in the words of params.yaml's errors."""
    where = [str(part) for part in error["loc"]]
    dotted = ".".join(where)
    if error["type"] == "extra_forbidden":
        parts: dict[str, type[Section]] = {"variants": Variant, "comparisons": Comparison}
        section = parts.get(where[0] if len(where) > 1 else "", Study)
        return f"{source}: {dotted} is unknown; {suggestion(where[-1], list(section.model_fields))}"
    if error["type"] == "missing":
        return f"{source}: {dotted} is missing; add it"
    return f"{source}: {dotted + ': ' if dotted else ''}{error['msg'].removeprefix('Value error, ')}"
