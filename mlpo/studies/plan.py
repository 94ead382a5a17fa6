"""A study as steps: every (variant, seed) is a run, and what two runs have in common is a step of the first of them.

A DVC stage's fingerprint is what it depends on: its parameters, as data/code has them, and the fingerprints of what
dvc.yaml says it reads. The first run with a fingerprint owns the stage; later ones take its outputs over (`dvc.lock`
and the shared cache say what they are). DVC's run cache alone would not do: of two runs at work it lets both compute
what they share, and a run that evaluates another's leader takes what its own parameters would not give.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mlpo.config import ConfigError, Params, digest, parse_params
from mlpo.evaluation.strategies import strategy_names
from mlpo.fingerprint.stage_file import parameters_of
from mlpo.layout import CODE, PARAMS
from mlpo.stage_table import STAGES
from mlpo.studies.costs import Cost, EvaluationCosts, training_cost
from mlpo.studies.spec import Comparison, Study, variant_raw

AGENTS, SFT, MLPO, EVALUATE = "agents", "train_sft", "train_mlpo", "evaluate"


class RunId(NamedTuple):
    """One variant with one seed."""

    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.variant}-seed{self.seed}"


class StepId(NamedTuple):
    """A part of a run that is done in one go."""

    run: RunId
    part: str
    """agents, train_sft, train_mlpo or evaluate."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one variant with one seed takes."""

    id: RunId
    raw: dict[str, Any]
    """Its parameters, as its params.yaml has them."""
    params: Params
    key: str
    """Equal keys mean equal runs, in whatever study: the digest of its parameters and of its leader's."""
    leader: RunId | None
    """The run whose leaders it evaluates; None trains its own."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to run: DVC stages of one run, after other steps."""

    id: StepId
    stages: tuple[str, ...]
    """DVC stages, in order."""
    takes_over: tuple[tuple[str, RunId], ...]
    """Stages whose outputs another run made before."""
    needs: tuple[StepId, ...]
    """Steps that must be done before."""
    cost: Cost
    after: StepId | None = None
    """A step that is to end before, well or not: what both ask is then asked once."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """All runs of a study and their steps, each after what it needs."""

    runs: tuple[Run, ...]
    steps: tuple[Step, ...]

    def steps_of(self, run: RunId) -> list[Step]:
        """A run's own steps."""
        return [step for step in self.steps if step.id.run == run]


def plan_study(root: Path, study: Study) -> StudyPlan:
    """Lay out a study: base first, seed by seed.

    Raises:
        ConfigError: a variant's parameters are illegal.
    """
    description = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    runs = _runs(root, study)
    planner = _Planner(description, runs)
    return StudyPlan(tuple(runs), tuple(step for run in runs for step in planner.steps(run)))


def fingerprints(description: Mapping[str, Any], params: Params) -> dict[str, str]:
    """DVC stage -> digest of all that its outputs depend on, but code and documents, which all runs share.

    Args:
        description: the `stages` of dvc.yaml.
        params: a run's.
    """
    made: dict[str, str] = {}  # path -> fingerprint of the stage that makes it
    found: dict[str, str] = {}
    for name, agent, template in _expanded(description, params):
        values = parameters_of(name.partition("@")[0], params, agent)
        read = sorted(dep for dep in template["deps"] if not _holds(CODE.as_posix(), dep))
        inputs = {dep: [(path, made[path]) for path in sorted(made) if _holds(dep, path)] for dep in read}
        found[name] = digest([name, values, inputs])
        for path in _outputs(template, agent):
            made[path] = found[name]
    return found


def _expanded(description: Mapping[str, Any], params: Params) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(stage, agent or "", its template); `propose` once for every agent; `code`, which all depend on, is left out."""
    for name, stage in description.items():
        if "foreach" in stage:
            yield from ((f"{name}@{agent}", agent, stage["do"]) for agent in params.team)
        elif name in STAGES:
            yield name, "", stage


def _outputs(template: Mapping[str, Any], agent: str) -> list[str]:
    entries = [entry for kind in ("outs", "metrics") for entry in template.get(kind, [])]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [path.replace("${key}", agent) for path in paths]


def _holds(dependency: str, path: str) -> bool:
    return Path(path).is_relative_to(dependency) or Path(dependency).is_relative_to(path)


def _runs(root: Path, study: Study) -> list[Run]:
    raws = {
        RunId(variant, seed): variant_raw(root, study, variant, seed)
        for seed in study.seeds
        for variant in study.variants
    }
    runs = []
    for run_id, raw in raws.items():
        named = study.variants[run_id.variant].leader
        leader = RunId(named, run_id.seed) if named else None
        key = digest([raw, raws[leader] if leader else None])
        runs.append(Run(run_id, raw, parse_params(raw, source=f"{PARAMS} of {run_id}"), key, leader))
    return runs


def trained_first(runs: Sequence[Run]) -> list[Run]:
    """The same runs, those that evaluate another's leader after all others."""
    return sorted(runs, key=lambda run: run.leader is not None)


def check_comparable(plan: StudyPlan, study: Study) -> None:
    """Refuse comparisons of strategies that are not played, and between variants that answer different problems.

    Raises:
        ConfigError: there is one; the message names it.
    """
    names = {run.id.variant: strategy_names(run.params) for run in plan.runs}
    for comparison in study.all_comparisons:
        for variant, strategy in (comparison.first, comparison.second):
            if strategy not in names[variant]:
                raise ConfigError(_not_played(comparison, variant, strategy, names[variant]))
        first, other = comparison.first[0], comparison.second[0]
        asked = {digest(run.raw["prepare"]) for run in plan.runs if run.id.variant in (first, other)}
        if len(asked) > 1:
            raise ConfigError(
                f"{first} and {other} answer different problems (their `prepare` differs) and cannot be compared; set "
                "compare_with_first: false, or compare strategies inside each"
            )


def _not_played(comparison: Comparison, variant: str, strategy: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(strategy, names, n=1)
    mend = f"did you mean {close[0]}? " if close else ""
    pair = " with ".join(" of ".join(reversed(side)) for side in (comparison.first, comparison.second))
    return f"comparison of {pair}: {variant} does not play {strategy}; {mend}it plays {', '.join(names)}"


class _Planner:
    """Walks through the runs and remembers who owns what."""

    def __init__(self, description: Mapping[str, Any], runs: Sequence[Run]) -> None:
        self._prints = {run.id: fingerprints(description, run.params) for run in runs}
        self._runs = {run.id: run for run in runs}
        self._owners = self._first_owners(trained_first(runs))
        self._first_of_seed = {run.id.seed: run.id for run in reversed(runs)}
        self._evaluations = EvaluationCosts()

    def steps(self, run: Run) -> Iterator[Step]:
        """The steps of one run; asked once for each run, in the order of the plan."""
        before: list[StepId] = []
        for part, stages in self._parts(run):
            owners = {stage: self._owner(run, stage) for stage in stages}
            own = tuple(stage for stage, owner in owners.items() if owner == run.id or part == EVALUATE)
            taken = tuple((s, o) for s, o in self._taken(run) if o != run.id and s not in own)
            if not own:
                continue
            needs = {StepId(owner, _part_of(stage)) for stage, owner in taken if self._is_upstream(stage, part)}
            first = StepId(self._first_of_seed[run.id.seed], EVALUATE)
            after = first if part == EVALUATE and run.id != first.run else None
            step = StepId(run.id, part)
            upstream = tuple((s, o) for s, o in taken if self._is_upstream(s, part))
            yield Step(step, own, upstream, (*before, *sorted(needs)), self._cost(run, part, own), after)
            before = [step]

    def _first_owners(self, runs: Sequence[Run]) -> dict[str, RunId]:
        owners: dict[str, RunId] = {}
        for run in runs:
            for _, stages in self._parts(run):
                for stage in stages:
                    owners.setdefault(self._prints[run.id][stage], run.id)
        return owners

    def _parts(self, run: Run) -> list[tuple[str, tuple[str, ...]]]:
        """The run's parts, each with all its stages, owned or not."""
        team = tuple(f"{stage}@{agent}" for stage in ("reference", "propose") for agent in run.params.team)
        if run.leader is not None:  # what its team can win, and what is chosen with it, are its own
            return [(AGENTS, ("prepare", *team)), (EVALUATE, ("headroom", "calibrate", EVALUATE))]
        agents = (AGENTS, ("prepare", *team, "demonstrate"))
        return [agents, (SFT, (SFT, "headroom")), (MLPO, (MLPO,)), (EVALUATE, ("calibrate", EVALUATE))]

    def _taken(self, run: Run) -> Iterator[tuple[str, RunId]]:
        """Every stage but `evaluate` that the run needs, with the run that makes its outputs."""
        for part, stages in self._parts(run):
            if part != EVALUATE:
                yield from ((stage, self._owner(run, stage)) for stage in stages)
        if run.leader is not None:
            leader = self._runs[run.leader]
            yield from ((stage, self._owner(leader, stage)) for stage in (SFT, MLPO))

    def _owner(self, run: Run, stage: str) -> RunId:
        return self._owners[self._prints[run.id][stage]]

    def _is_upstream(self, stage: str, part: str) -> bool:
        order = (AGENTS, SFT, MLPO, EVALUATE)
        return order.index(_part_of(stage)) <= order.index(part)

    def _cost(self, run: Run, part: str, stages: Sequence[str]) -> Cost:
        if part != EVALUATE:
            return training_cost(run.params, stages)
        leader = self._runs[run.leader] if run.leader else run
        prints, own = self._prints[leader.id], self._prints[run.id]
        played = digest([own["prepare"], *(own[f"propose@{agent}"] for agent in run.params.team)])
        trained = {"untrained": digest(run.raw.get("leader")), "sft": prints[SFT], "mlpo": prints[MLPO]}
        return self._evaluations.cost(run.params, played, trained)


def _part_of(stage: str) -> str:
    """The part in which a run that trains its own leader has this stage."""
    return {SFT: SFT, "headroom": SFT, MLPO: MLPO, "calibrate": EVALUATE, EVALUATE: EVALUATE}.get(stage, AGENTS)
