"""Git as hive looks at it: refs, what commits hold, and whether a tree shows its commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.git import MAIN
from hive.adapters.streams import RefMove
from hive.errors import HiveError, Refused
from tests.contract.git_samples import (
    AT,
    FILES,
    GHOST,
    GIT,
    SIDE,
    a_repo,
    by_hand,
    fetch,
    grown,
    main_of,
)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


def test_a_new_repo_is_one_and_has_a_main_without_a_commit(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    assert not GIT.is_repo(repo)
    assert GIT.refs(repo) == {}
    GIT.init(repo)
    assert GIT.is_repo(repo)
    assert GIT.ref(repo, MAIN) is None
    assert by_hand(repo, "symbolic-ref", "HEAD") == MAIN
    assert not (repo / ".git" / "hooks").exists()


def test_a_ref_is_found_where_git_left_it(repo: Path) -> None:
    by_hand(repo, "tag", "deployed/0")
    by_hand(repo, "branch", "candidate/alice")
    first = main_of(repo)
    everything = {MAIN: first, "refs/tags/deployed/0": first, SIDE: first}
    assert GIT.refs(repo) == everything
    by_hand(repo, "pack-refs", "--all", "--prune")
    assert not (repo / ".git" / MAIN).exists()
    assert GIT.refs(repo) == everything
    second = grown(repo, "second")
    assert GIT.refs(repo) == everything | {MAIN: second}
    assert GIT.ref(repo, MAIN) == second


@pytest.mark.parametrize("packed", [True, False])
def test_a_deleted_ref_is_gone(repo: Path, packed: bool) -> None:
    by_hand(repo, "tag", "deployed/0")
    if packed:
        by_hand(repo, "pack-refs", "--all")
    by_hand(repo, "tag", "-d", "deployed/0")
    assert GIT.ref(repo, "refs/tags/deployed/0") is None
    assert GIT.refs(repo) == {MAIN: main_of(repo)}


@pytest.mark.parametrize("packed", [True, False])
def test_refs_are_looked_up_by_whole_names(repo: Path, packed: bool) -> None:
    for tag in ("deployed/1", "deployed/12", "deployedx"):
        by_hand(repo, "tag", tag)
    if packed:
        by_hand(repo, "pack-refs", "--all")
    names = {"refs/tags/deployed/1", "refs/tags/deployed/12"}
    assert GIT.refs(repo, "refs/tags/deployed/").keys() == names
    assert GIT.refs(repo, "refs/tags/deployed").keys() == names
    assert GIT.refs(repo, "refs/tags/deployed/1").keys() == {"refs/tags/deployed/1"}
    assert GIT.ref(repo, "refs/tags/deployed") is None
    assert GIT.refs(repo, "refs/none") == {}


def test_what_is_no_commit_id_is_no_ref(repo: Path) -> None:
    heads = repo / ".git" / "refs" / "heads"
    (heads / "killed").write_text("")
    (heads / "half").write_text("1234")
    (heads / "main.lock").write_text(f"{GHOST}\n")
    (heads / "gone").symlink_to("nowhere")
    by_hand(repo, "symbolic-ref", "refs/heads/other", MAIN)
    assert GIT.refs(repo) == {MAIN: main_of(repo)}


def test_a_repo_with_a_reftable_is_refused_not_read_as_empty(repo: Path) -> None:
    (repo / ".git" / "reftable").mkdir()
    with pytest.raises(Refused) as refused:
        GIT.refs(repo)
    assert refused.value.code == "foreign-repo"


def test_a_tree_that_shows_its_commit_is_clean(repo: Path) -> None:
    assert GIT.is_clean(repo)


@pytest.mark.parametrize("path", ["new", "folder/new", " odd\n"])
def test_an_untracked_file_is_not_clean(repo: Path, path: str) -> None:
    (repo / path).parent.mkdir(exist_ok=True)
    (repo / path).write_text("")
    assert not GIT.is_clean(repo)


def test_a_change_is_not_clean_staged_or_not(repo: Path) -> None:
    (repo / "flake.nix").write_text("changed")
    assert not GIT.is_clean(repo)
    by_hand(repo, "add", ".")
    assert not GIT.is_clean(repo)
    (repo / "flake.nix").write_text(FILES["flake.nix"])
    assert not GIT.is_clean(repo)
    GIT.reset_tree(repo)
    assert GIT.is_clean(repo)


def test_a_tree_that_lags_behind_its_main_is_not_clean_until_it_is_reset(repo: Path) -> None:
    grown(repo, "second", {"only": "this"})
    assert not GIT.is_clean(repo)
    GIT.reset_tree(repo)
    assert GIT.is_clean(repo)
    assert sorted(path.name for path in repo.iterdir()) == [".git", "only"]


def test_a_folder_that_lies_in_another_repo_is_not_that_repo(repo: Path) -> None:
    """Else what is meant for an agent's repo would be done to the clone that hive runs in."""
    inside = repo / "applied" / "alice"
    inside.mkdir(parents=True)
    before = main_of(repo)
    assert GIT.refs(inside) == {}
    for act in (
        lambda: GIT.commit(inside, MAIN, FILES, parent=None, subject="x", at=AT),
        lambda: GIT.move(inside, RefMove(SIDE, before, None)),
        lambda: GIT.reset_tree(inside),
        lambda: GIT.is_clean(inside),
        lambda: fetch(inside, repo, f"{MAIN}:{SIDE}"),
    ):
        with pytest.raises(HiveError):
            act()
    assert GIT.refs(repo) == {MAIN: before}
