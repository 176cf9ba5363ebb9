"""Git as hive looks at it: refs, what commits hold, and whether a tree shows its commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive.adapters.git import MAIN, Git, RefMove
from hive.errors import HiveError, Refused
from hive.testing import FakeShell
from tests.contract.git_samples import (
    AT,
    FILES,
    GHOST,
    GIT,
    SIDE,
    a_repo,
    by_hand,
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
    assert Git(FakeShell(), _known=git._known).file(repo, rev, "flake.nix") == FILES["flake.nix"]


def test_a_commit_knows_its_first_parent(repo: Path) -> None:
    first = main_of(repo)
    second = grown(repo, "second")
    assert GIT.parent(repo, second) == first
    assert GIT.parent(repo, first) is None
    with pytest.raises(HiveError):
        GIT.parent(repo, GHOST)


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
    (tmp_path / "more").write_text("[remote \"applied\"]\n\turl = included\n")
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
        lambda: GIT.fetch(inside, repo, f"{MAIN}:{SIDE}"),
    ):
        with pytest.raises(HiveError):
            act()
    assert GIT.refs(repo) == {MAIN: before}
