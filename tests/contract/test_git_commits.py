"""Git as hive reads commits and configs: to the letter, and each commit once."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.git import MAIN, Git
from hive.errors import HiveError
from hive.testing import FakeShell
from tests.contract.git_samples import (
    FILES,
    GHOST,
    GIT,
    a_repo,
    by_hand,
    grown,
    main_of,
)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


@pytest.mark.parametrize("text", ["", "a", "a\nb", "a\r\n", "é\n", "x\n" * 10**6])
def test_a_file_of_a_commit_is_read_to_the_letter(repo: Path, text: str) -> None:
    rev = grown(repo, "more", {"file": text, "after": "it"})
    assert GIT.files(repo, rev, "file", "after") == (text, "it")


def test_what_a_commit_does_not_hold_is_none_and_hides_nothing_behind_it(repo: Path) -> None:
    rev = grown(repo, "more", {"folder/file": "deep", "last": "here"})
    asked = ("none", "folder", "none/none", "last", "folder/file", "last/none")
    assert GIT.files(repo, rev, *asked) == (None, None, None, "here", "deep", None)
    assert GIT.files(repo, rev) == ()
    assert GIT.file(repo, rev, "last") == "here"


def test_a_commit_that_is_not_there_holds_nothing(repo: Path) -> None:
    assert GIT.files(repo, GHOST, "flake.nix", "agent.nix") == (None, None)
    assert GIT.file(repo, GHOST, "flake.nix") is None


def test_a_binary_file_is_read_and_hides_nothing_behind_it(repo: Path) -> None:
    (repo / "binary").write_bytes(b"\0\xff\n\n" * 1000)
    (repo / "last").write_text("here")
    by_hand(repo, "add", ".")
    by_hand(repo, "commit", "-qm", "binary")
    text, last = GIT.files(repo, main_of(repo), "binary", "last")
    assert text is not None
    assert text.startswith("\0\\xff\n\n")
    assert last == "here"


def test_what_a_commit_holds_is_read_once(repo: Path) -> None:
    rev = main_of(repo)
    git = Git(GIT.shell)
    assert git.file(repo, rev, "flake.nix") == FILES["flake.nix"]
    assert Git(FakeShell(), held=git.held).file(repo, rev, "flake.nix") == FILES["flake.nix"]


def test_a_commit_knows_its_first_parent(repo: Path) -> None:
    first = main_of(repo)
    second = grown(repo, "second")
    assert GIT.parent(repo, second) == first
    assert GIT.parent(repo, first) is None
    with pytest.raises(HiveError):
        GIT.parent(repo, GHOST)


def test_subjects_come_newest_first(repo: Path) -> None:
    for subject in ("deploy alice deployed/1 abc", "deploy bob deployed/2 é\x85", "destroy bob 3"):
        grown(repo, subject)
    assert GIT.subjects(repo, MAIN) == (
        "destroy bob 3",
        "deploy bob deployed/2 é\x85",
        "deploy alice deployed/1 abc",
        "init",
    )
    now = GIT.ref(repo, MAIN)
    assert now is not None
    assert GIT.newest_subject(repo, now, "deploy ") == "deploy bob deployed/2 é\x85"
    assert GIT.newest_subject(repo, now, "deploy alice ") == "deploy alice deployed/1 abc"
    assert GIT.newest_subject(repo, now, "deploy al deployed/") is None
    assert GIT.newest_subject(repo, now, "alice") is None


def test_words_in_the_body_of_a_commit_are_no_subject(repo: Path) -> None:
    grown(repo, "deploy alice deployed/1 abc")
    grown(repo, "a note\n\ndeploy alice deployed/9 abc")
    now = GIT.ref(repo, MAIN)
    assert now is not None
    found = GIT.newest_subject(repo, now, "deploy alice deployed/")
    assert found == "deploy alice deployed/1 abc"


def test_a_key_of_a_config_is_read_without_entering_a_repo(tmp_path: Path) -> None:
    (tmp_path / "more").write_text('[remote "applied"]\n\turl = included\n')
    config = f'[include]\n\tpath = {tmp_path}/more\n[remote "applied"]\n\turl = "/applied/a b"\n'
    assert GIT.config_value(config.encode(), "remote.applied.url") == "/applied/a b"
    assert GIT.config_value(config.encode(), "remote.other.url") is None
    assert GIT.config_value(config[: config.index("[r")].encode(), "remote.applied.url") is None
    for odd in (b"", b"[remote", b"\xff\0", b"[a]\nb = \\q"):
        assert GIT.config_value(odd, "remote.applied.url") is None


def test_a_key_of_a_config_is_set_and_the_rest_is_kept(repo: Path) -> None:
    config = repo / ".git" / "config"
    config.write_text(config.read_text() + "# mine\n")
    GIT.set_config(config, "remote.applied.url", "/applied/alice/.git")
    GIT.set_config(config, "remote.applied.url", "/applied/bob/.git")
    assert GIT.config_value(config.read_bytes(), "remote.applied.url") == "/applied/bob/.git"
    assert "# mine" in config.read_text()
    assert not list((repo / ".git").glob("*.lock"))
