"""A run with overrides works in a worktree: the files of the checkout, parameters of its own, the cache shared."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from mlpo.config import ConfigError, digest
from mlpo.processes.worktree import checkout_for, code_digest

ROOT = Path(__file__).parents[2]


def dvc(folder: Path, *arguments: str) -> str:
    return subprocess.run(["dvc", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "code.py").write_text("committed")
    (folder / "gone.py").write_text("committed")
    (folder / "dvc.lock").write_text("schema: '2.0'\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "start")
    return folder


def test_overrides_that_change_nothing_run_in_place(root: Path) -> None:
    for overrides in ({}, {"seed": 0}, {"rounds": {}}):
        with checkout_for(root, overrides) as folder:
            assert folder == root
    assert not (root / ".mlpo").exists()


def test_a_run_that_may_not_work_in_place_gets_a_worktree_for_the_checkouts_own_parameters(root: Path) -> None:
    with checkout_for(root, {}, in_place=False) as folder:
        assert folder != root
        assert yaml.safe_load((folder / "params.yaml").read_text()) == yaml.safe_load(
            (root / "params.yaml").read_text()
        )


def test_an_uncommitted_edit_is_other_code(root: Path) -> None:
    (root / "mlpo").mkdir()
    (root / "mlpo/a.py").write_text("one")
    before = code_digest(root)
    (root / "code.py").write_text("what is not under mlpo/ does not count")
    assert code_digest(root) == before
    (root / "mlpo/a.py").write_text("two")
    assert code_digest(root) != before


def test_a_worktree_has_the_checkouts_files_and_its_own_parameters(root: Path) -> None:
    (root / "code.py").write_text("edited")
    (root / "new.py").write_text("not added yet")
    (root / "gone.py").unlink()
    before = git(root, "status", "--short")
    with checkout_for(root, {"seed": 7}) as folder:
        assert (folder / "code.py").read_text() == "edited"
        assert (folder / "new.py").read_text() == "not added yet"
        assert not (folder / "gone.py").exists()
        expected = yaml.safe_load((root / "params.yaml").read_text()) | {"seed": 7}
        assert yaml.safe_load((folder / "params.yaml").read_text()) == expected
        assert git(folder, "rev-parse", "HEAD") == git(root, "rev-parse", "HEAD")
        assert Path(dvc(folder, "cache", "dir")) == root / ".dvc/cache"
    assert git(root, "status", "--short") == before


def test_equal_overrides_lead_to_the_same_folder_where_work_goes_on(root: Path) -> None:
    with checkout_for(root, {"seed": 7}) as first:
        (first / "dvc.lock").write_text("schema: '2.0' # with a finished stage\n")
        (first / ".mlpo").mkdir()
        (first / ".mlpo/store").write_text("half a stage")
    (root / "code.py").write_text("mended")
    with checkout_for(root, {"seed": 7}) as second:
        assert second == first
        assert (second / "dvc.lock").read_text() == "schema: '2.0' # with a finished stage\n"
        assert (second / ".mlpo/store").read_text() == "half a stage"
        assert (second / "code.py").read_text() == "mended"


@pytest.fixture
def tracked(root: Path) -> Path:
    """The checkout with a file in DVC's cache."""
    (root / "rows").write_text("whole")
    dvc(root, "add", "rows")
    return root


def worktree_of(root: Path, overrides: dict[str, int]) -> Path:
    return root / ".mlpo/worktrees" / digest(overrides)


@pytest.mark.parametrize("of_checkout", ["schema: '2.0'\nstages: {}\n", None])
def test_a_worktrees_own_lock_is_never_taken_away(root: Path, of_checkout: str | None) -> None:
    """Another run may read it at any moment; git would delete the file, or put the checkout's in its place."""
    with checkout_for(root, {"seed": 7}) as folder:
        (folder / "dvc.lock").write_text("what the worktree's stages made")
    before = (folder / "dvc.lock").stat()
    if of_checkout is None:
        git(root, "rm", "--quiet", "dvc.lock")
    else:
        (root / "dvc.lock").write_text(of_checkout)
    for _ in range(2):
        with checkout_for(root, {"seed": 7}):
            after = (folder / "dvc.lock").stat()
            assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
            assert (folder / "dvc.lock").read_text() == "what the worktree's stages made"


def test_a_worktree_that_was_stopped_before_it_shared_the_cache_shares_it_the_next_time(tracked: Path) -> None:
    git(tracked, "worktree", "add", "--detach", "--no-checkout", str(worktree_of(tracked, {"seed": 7})), "HEAD")
    with checkout_for(tracked, {"seed": 7}) as folder:
        assert Path(dvc(folder, "cache", "dir")) == tracked / ".dvc/cache"
        assert (folder / "rows").read_text() == "whole"


@pytest.mark.parametrize("cache", [None, "../../elsewhere"])
def test_a_stop_while_files_come_from_the_cache_leaves_it_to_be_done_again(
    tracked: Path, cache: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(repo: Repo, **_: bool) -> None:
        (Path(repo.root_dir) / "rows").write_text("ha")
        raise KeyboardInterrupt

    if cache:  # the checkout's own local configuration may name one, too
        dvc(tracked, "cache", "dir", "--local", cache)
        dvc(tracked, "add", "rows")
    with monkeypatch.context() as patch:
        patch.setattr(Repo, "checkout", stopped)
        with pytest.raises(KeyboardInterrupt), checkout_for(tracked, {"seed": 7}):
            pass
    with checkout_for(tracked, {"seed": 7}) as folder:
        assert (folder / "rows").read_text() == "whole"
        assert dvc(folder, "cache", "dir") == dvc(tracked, "cache", "dir")


def test_what_a_stage_left_half_done_is_not_taken_from_the_cache_again(tracked: Path) -> None:
    with checkout_for(tracked, {"seed": 7}) as folder:
        (folder / "rows").unlink()
        (folder / "rows").write_text("half of others")
    elsewhere = tracked.parent / "elsewhere"
    dvc(tracked, "cache", "dir", "--local", str(elsewhere))
    with checkout_for(tracked, {"seed": 7}) as folder:
        assert (folder / "rows").read_text() == "half of others"
        assert Path(dvc(folder, "cache", "dir")) == elsewhere


def test_remotes_of_the_checkouts_own_configuration_lead_to_the_same_place(root: Path) -> None:
    dvc(root, "remote", "add", "--local", "near", "../store")
    with checkout_for(root, {"seed": 7}) as folder:
        told = (folder / ".dvc/config.local").read_text().split("url = ")[1].split()[0]
        assert (folder / ".dvc" / told).resolve() == root.parent / "store"


def test_other_overrides_lead_to_another_folder_at_the_same_time(root: Path) -> None:
    with checkout_for(root, {"seed": 1}) as one, checkout_for(root, {"seed": 2}) as other:
        assert one != other
        assert [yaml.safe_load((f / "params.yaml").read_text())["seed"] for f in (one, other)] == [1, 2]


def test_two_runs_with_equal_overrides_at_once_are_refused_with_the_folder(root: Path) -> None:
    with (
        checkout_for(root, {"seed": 1}) as folder,
        pytest.raises(ConfigError, match=f"is going on in {folder}"),
        checkout_for(root, {"seed": 1}),
    ):
        pass


def test_a_deleted_worktree_is_made_again(root: Path) -> None:
    with checkout_for(root, {"seed": 1}) as folder:
        pass
    subprocess.run(["rm", "-r", str(folder)], check=True)
    with checkout_for(root, {"seed": 1}) as again:
        assert (again / "code.py").read_text() == "committed"


def half_done(root: Path) -> None:
    with checkout_for(root, {"seed": 7}) as folder:
        (folder / "rows").unlink()
        (folder / "rows").write_text("half of others")


def test_a_checkout_that_was_moved_keeps_its_worktrees_and_what_lies_in_them(tracked: Path) -> None:
    half_done(tracked)
    moved = tracked.rename(tracked.parent / "moved")
    (moved / "code.py").write_text("mended")
    with checkout_for(moved, {"seed": 7}) as folder:
        assert (folder / "rows").read_text() == "half of others"
        assert (folder / "code.py").read_text() == "mended"
        assert git(folder, "rev-parse", "--show-toplevel").strip() == str(folder)
        assert Path(dvc(folder, "cache", "dir")) == moved / ".dvc/cache"
        assert f"worktree {folder}\n" in git(moved, "worktree", "list", "--porcelain")


def test_a_worktree_whose_link_names_another_machines_path_goes_on(tracked: Path) -> None:
    half_done(tracked)
    folder = worktree_of(tracked, {"seed": 7})
    (folder / ".git").write_text(f"gitdir: /elsewhere/.git/worktrees/{folder.name}\n")
    with checkout_for(tracked, {"seed": 7}) as again:
        assert (again / "rows").read_text() == "half of others"


def test_a_copy_of_a_checkout_leaves_the_worktrees_of_the_first_alone(tracked: Path) -> None:
    half_done(tracked)
    copy = tracked.parent / "copy"
    shutil.copytree(tracked, copy, symlinks=True)
    git(copy, "commit", "--quiet", "--allow-empty", "--message", "of the copy alone")
    with checkout_for(copy, {"seed": 7}) as folder:
        assert git(folder, "rev-parse", "HEAD") == git(copy, "rev-parse", "HEAD")
    assert git(worktree_of(tracked, {"seed": 7}), "rev-parse", "HEAD") == git(tracked, "rev-parse", "HEAD")


def test_a_worktree_that_git_has_forgotten_is_known_again_and_keeps_what_lies_in_it(tracked: Path) -> None:
    half_done(tracked)
    folder = worktree_of(tracked, {"seed": 7})
    shutil.rmtree(tracked / ".git/worktrees" / folder.name)
    with checkout_for(tracked, {"seed": 7}) as again:
        assert again == folder
        assert (folder / "rows").read_text() == "half of others"
        assert (folder / "code.py").read_text() == "committed"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


@pytest.fixture
def other_team(root: Path) -> Path:
    """A set of parameters with a team of its own."""
    path = root / "configs/other.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"team": {"solo": {}}, "prepare": {"families": ["capital"]}}))
    return path


def test_a_whole_set_replaces_the_checkouts_parameters(root: Path, other_team: Path) -> None:
    asked = Path("configs/other.yaml")
    with checkout_for(root, {"seed": 3}, asked) as folder, checkout_for(root, {"seed": 3}) as by_overrides:
        expected = {"team": {"solo": {}}, "prepare": {"families": ["capital"]}, "seed": 3}
        assert yaml.safe_load((folder / "params.yaml").read_text()) == expected
        assert folder != by_overrides
    with checkout_for(root, {"seed": 3}, other_team) as same:  # by its absolute path
        assert same == folder
    with checkout_for(root, {}, root / "params.yaml") as in_place:
        assert in_place == root


def test_illegal_overrides_are_refused_and_make_no_folder(root: Path) -> None:
    with pytest.raises(ConfigError, match="seed"), checkout_for(root, {"seed": -1}):
        pass
    assert not (root / ".mlpo").exists()


def test_outside_git_the_line_says_what_failed(root: Path) -> None:
    subprocess.run(["rm", "-r", str(root / ".git")], check=True)
    with pytest.raises(ConfigError, match="cannot prepare a worktree"), checkout_for(root, {"seed": 1}):
        pass
