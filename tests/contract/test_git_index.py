"""A clean tree is seen without a program; what is not sure is git's to say, with one answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hive.adapters import index
from hive.adapters.git import MAIN
from hive.adapters.loose import Unknown
from hive.domain.names import Rev
from tests.contract.git_samples import GIT, Told, a_repo, by_hand, fetch, grown, main_of

FILES = {"flake.nix": "{ }\n", "a/b/c": "deep é\n", "a/d": "", "e f": "x" * 5000}
LONG_AGO = 1_000_000_000  #: seconds since 1970


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    repo = a_repo(tmp_path / "repo", FILES)
    (repo / "run").write_text("#!/bin/sh\n")
    (repo / "run").chmod(0o755)
    (repo / "link").symlink_to("flake.nix")
    by_hand(repo, "add", ".")
    by_hand(repo, "commit", "-qm", "a script and a link")
    GIT.reset_tree(repo)
    return repo


def test_a_clean_tree_starts_no_program(repo: Path) -> None:
    told = Told()
    assert told.git.is_clean(repo)
    assert told.started == []


def test_a_tree_that_was_just_shown_anew_starts_no_program_either(repo: Path) -> None:
    """Written in one moment with the index, each file is read: its time says nothing."""
    for word in ("one", "two", "three"):
        rev = grown(repo, word, {**FILES, "flake.nix": word})
        GIT.reset_tree(repo)
        told = Told()
        assert told.git.ref(repo, MAIN) == rev
        assert told.git.is_clean(repo)
        assert told.started == []


def test_a_file_that_was_changed_within_the_moment_of_the_index_is_seen(repo: Path) -> None:
    """Same size, same times: only what it holds has changed."""
    file = repo / "flake.nix"
    at = (repo / ".git" / "index").stat().st_mtime_ns
    file.write_text("{x}\n")
    os.utime(file, ns=(at, at))
    assert not Told().git.is_clean(repo)


def test_what_was_fetched_is_packed_and_needs_no_program_either(repo: Path, tmp_path: Path) -> None:
    told = Told()
    told.git.init(tmp_path / "to")
    fetch(tmp_path / "to", repo, f"{main_of(repo)}:{MAIN}", git=told.git)
    told.git.reset_tree(tmp_path / "to")
    told.started.clear()
    assert told.git.is_clean(tmp_path / "to")
    assert told.started == []


def touched(repo: Path) -> None:
    os.utime(repo / "flake.nix", (LONG_AGO, LONG_AGO))


def no_more_a_script(repo: Path) -> None:
    (repo / "run").chmod(0o644)


def another_link(repo: Path) -> None:
    (repo / "link").unlink()
    (repo / "link").symlink_to("agent.nix")


def a_folder_for_a_link(repo: Path) -> None:
    (repo / "a").rename(repo / "z")
    (repo / "a").symlink_to("z")


def one_less(repo: Path) -> None:
    (repo / "a" / "d").unlink()


def one_more(repo: Path) -> None:
    (repo / "a" / "new").write_text("")


def one_that_is_ignored(repo: Path) -> None:
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "exclude").write_text("new\n")
    one_more(repo)


def an_empty_folder(repo: Path) -> None:
    (repo / "empty").mkdir()


def a_repo_inside(repo: Path) -> None:
    GIT.init(repo / "inside")


def staged(repo: Path) -> None:
    (repo / "a" / "d").write_text("more")
    by_hand(repo, "add", ".")


def staged_and_back(repo: Path) -> None:
    staged(repo)
    (repo / "a" / "d").write_text("")


def to_be_added(repo: Path) -> None:
    one_more(repo)
    by_hand(repo, "add", "-N", "a/new")


def not_looked_at(repo: Path) -> None:
    by_hand(repo, "update-index", "--assume-unchanged", "flake.nix")
    (repo / "flake.nix").write_text("changed")


def skipped(repo: Path) -> None:
    by_hand(repo, "update-index", "--skip-worktree", "flake.nix")
    (repo / "flake.nix").write_text("changed")


def behind_its_main(repo: Path) -> None:
    grown(repo, "second", {**FILES, "only": "this"})


def elsewhere(repo: Path) -> None:
    (repo / ".git" / "HEAD").write_text("ref: refs/heads/none\n")


def detached(repo: Path) -> None:
    by_hand(repo, "checkout", "-q", "--detach")


def in_another_spelling(repo: Path) -> None:
    by_hand(repo, "update-index", "--index-version", "4")


def cut_in_two(repo: Path) -> None:
    by_hand(repo, "update-index", "--split-index")


def without_an_index(repo: Path) -> None:
    (repo / ".git" / "index").unlink()


def packed(repo: Path) -> None:
    GIT._run(repo, "repack", "-adq")


@pytest.mark.parametrize(
    "change",
    [
        touched, no_more_a_script, another_link, a_folder_for_a_link, one_less, one_more,
        one_that_is_ignored, an_empty_folder, a_repo_inside, staged, staged_and_back, to_be_added,
        not_looked_at, skipped, behind_its_main, elsewhere, detached, in_another_spelling,
        cut_in_two, without_an_index, packed,
    ],
)  # fmt: skip
def test_whatever_has_changed_the_answer_is_gits(
    repo: Path, change: Callable[[Path], None]
) -> None:
    change(repo)
    status = ("status", "--porcelain=v2", "--untracked-files=all", "--ignore-submodules=all")
    found = Told().git.is_clean(repo)
    assert found is (by_hand(repo, *status) == "")


def tree_of(repo: Path) -> Callable[[Rev], str]:
    return lambda rev: by_hand(repo, "rev-parse", f"{rev}^{{tree}}")


@pytest.mark.parametrize("cut", [0, 1, 11, 40, 100, -21, -1])
def test_half_an_index_says_nothing(repo: Path, cut: int) -> None:
    file = repo / ".git" / "index"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(Unknown):
        index.expect_clean(repo, tree_of(repo))


def test_an_index_that_was_written_over_says_nothing(repo: Path) -> None:
    file = repo / ".git" / "index"
    raw = bytearray(file.read_bytes())
    raw[60] ^= 1
    file.write_bytes(raw)
    with pytest.raises(Unknown):
        index.expect_clean(repo, tree_of(repo))


def test_many_files_are_left_to_git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST", 3)
    told = Told()
    assert told.git.is_clean(repo)
    assert len(told.started) == 1
