"""Seeds belong to names and to nothing else."""

from __future__ import annotations

from mlpo.method.seeds import derive_seed


def test_the_seed_of_a_name_never_changes():
    # a changed value would silently re-make every proposal; sha256('[0, "geo", "p1", 0, 0]')[:4] >> 1
    assert derive_seed(0, "geo", "p1", 0, 0) == 2_065_097_580


def test_neighbouring_names_do_not_share_a_seed():
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("1",), (1,), (0, "a"), ("a", 0)]
    assert len({derive_seed(*p) for p in parts}) == len(parts)


def test_seeds_fit_31_bits_and_use_them():
    seeds = [derive_seed(i) for i in range(2000)]
    assert all(0 <= s < 2**31 for s in seeds)
    assert max(seeds) > 2**31 * 0.99
    assert min(seeds) < 2**31 * 0.01
