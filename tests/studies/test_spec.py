"""Studies: the shipped ones are legal, and a mistake in one is refused with its place and its mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlpo.benchmarks import BENCHMARKS
from mlpo.config import ConfigError
from mlpo.stages.prepare import draw_splits
from mlpo.studies.plan import check_comparable, plan_study
from mlpo.studies.spec import STUDIES, Comparison, load_study, study_names, variant_params

ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {
    "title": "A title",
    "question": "Why?",
    "base": {"train_mlpo": {"steps": 3}},
    "seeds": [0, 1],
    "variants": {
        "base": {},
        "grpo": {"set": {"train_mlpo": {"use_team": False}}},
        "one_round": {"set": {"rounds": {"num_rounds": 1}}, "leader": "base"},
    },
}


def changed(dotted: str, value: Any) -> dict[str, Any]:
    """STUDY with one value replaced."""
    study: dict[str, Any] = yaml.safe_load(yaml.safe_dump(STUDY))
    *path, last = dotted.split(".")
    place = study
    for key in path:
        place = place.setdefault(key, {})
    place[last] = value
    return study


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout's params.yaml, dvc.yaml and a folder for studies."""
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / STUDIES).mkdir(parents=True)
    return tmp_path


def write(root: Path, study: dict[str, Any], name: str = "mine") -> None:
    (root / STUDIES / f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


@pytest.mark.parametrize("name", study_names(ROOT))
def test_a_shipped_study_is_legal_and_compares_like_with_like(name: str) -> None:
    study = load_study(ROOT, name)
    check_comparable(plan_study(ROOT, study), study)
    assert all(variant.about for variant in study.variants.values())


@pytest.mark.parametrize("name", study_names(ROOT))
def test_a_shipped_study_draws_its_problems_for_every_seed(name: str) -> None:
    study = load_study(ROOT, name)
    configs = {variant_params(ROOT, study, variant, 0).prepare for variant in study.variants}
    for config in configs:
        pools = BENCHMARKS[config.benchmark].load(config)
        for seed in range(2):
            assert len(draw_splits(pools, config, seed).test) == config.num_test


def test_a_variant_is_the_base_with_its_own_changes_and_the_seed(root: Path) -> None:
    write(root, STUDY)
    params = variant_params(root, load_study(root, "mine"), "grpo", 1)
    assert (params.seed, params.train_mlpo.steps, params.train_mlpo.use_team) == (1, 3, False)


def test_every_variant_is_compared_with_the_first_and_what_is_listed_follows(root: Path) -> None:
    write(root, changed("comparisons", [{"variant": "base", "other_strategy": "majority_vote"}]))
    pairs = [(c.first, c.second) for c in load_study(root, "mine").all_comparisons]
    assert pairs == [
        (("grpo", "leader"), ("base", "leader")),
        (("one_round", "leader"), ("base", "leader")),
        (("base", "leader"), ("base", "majority_vote")),
    ]


def test_a_comparison_that_is_listed_and_implied_counts_once(root: Path) -> None:
    write(root, changed("comparisons", [{"variant": "grpo", "other": "base"}]))
    assert load_study(root, "mine").all_comparisons.count(Comparison(variant="grpo", other="base")) == 1


@pytest.mark.parametrize(
    ("dotted", "value", "message"),
    [
        ("variant", {}, r"mine.yaml: variant is unknown; did you mean variants\?"),
        ("variants.grpo.sets", {}, r"variants.grpo.sets is unknown; did you mean set\?"),
        ("variants.one_round.leader", "bas", r"one_round.leader: variant bas is unknown; did you mean base\?"),
        ("variants.grpo.leader", "one_round", "variants.grpo.leader: one_round trains none itself; name one that does"),
        ("comparisons", [{"variant": "grop", "other": "base"}], r"variant grop is unknown; did you mean grpo\?"),
        ("comparisons", [{"variant": "grpo"}], "comparisons.0: compares a strategy with itself"),
        ("variants.grpo.set", {"train_mlpo": {"use_teams": 1}}, r"variants.grpo: train_mlpo.use_teams is unknown; did"),
        ("variants.grpo.set", {"seed": 3}, "seed: is set by `seeds`"),
        ("base.seed", 3, "seed: is set by `seeds`"),
        ("seeds", [1, 1], "seeds: a seed is named twice"),
        ("variants", {}, "mine.yaml: variants: "),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_mend(root: Path, dotted: str, value: Any, message: str) -> None:
    write(root, changed(dotted, value))
    with pytest.raises(ConfigError, match=message):
        load_study(root, "mine")


def test_what_is_missing_is_named(root: Path) -> None:
    write(root, {"title": "A title", "variants": {"base": {}}})
    with pytest.raises(ConfigError, match=r"mine.yaml: question is missing; add it"):
        load_study(root, "mine")


def test_an_unknown_study_gets_the_nearest_name(root: Path) -> None:
    write(root, STUDY)
    with pytest.raises(
        ConfigError, match=r"study mien is unknown; did you mean mine\? \(configs/studies/<name>.yaml\)"
    ):
        load_study(root, "mien")


def test_variants_that_answer_different_problems_are_not_compared(root: Path) -> None:
    write(root, changed("variants.grpo.set", {"prepare": {"num_test": 7}}))
    study = load_study(root, "mine")
    with pytest.raises(ConfigError, match="grpo and base answer different problems"):
        check_comparable(plan_study(root, study), study)


@pytest.mark.parametrize(
    ("comparison", "message"),
    [
        (
            {"variant": "base", "other_strategy": "majorty_vote"},
            r"comparison of leader of base with majorty_vote of base: base does not play majorty_vote; "
            r"did you mean majority_vote\? it plays single:alpha, single:beta, single:gamma, majority_vote, ",
        ),
        (
            {"variant": "base", "strategy": "sft_leader", "other": "short"},
            r"comparison of sft_leader of base with sft_leader of short: short does not play sft_leader; "
            r".*it plays single:alpha, single:beta, single:gamma, majority_vote, .*leader, leader_solo, .*oracle_any$",
        ),
        ({"variant": "short", "strategy": "single:atlas", "other": "base"}, "short does not play single:atlas; "),
        ({"variant": "base", "other_strategy": "debate"}, "base does not play debate; it plays "),
    ],
)
def test_a_strategy_that_a_variant_does_not_play_is_refused_with_those_it_does(
    root: Path, comparison: dict[str, str], message: str
) -> None:
    write(root, changed("variants.short", {"set": {"evaluate": {"leaders": ["mlpo"]}}}) | {"comparisons": [comparison]})
    study = load_study(root, "mine")
    with pytest.raises(ConfigError, match=message):
        check_comparable(plan_study(root, study), study)
