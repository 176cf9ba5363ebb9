"""Git as hive changes a repo: whole or not at all, and as nobody but hive."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from hive.adapters.git import MAIN, Git, RefMove
from hive.adapters.shell import LocalShell
from hive.domain.names import Rev
from hive.errors import CommandFailed, HiveError, Refused, Transient
from tests.contract import ground
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

small_disk = ground.small_disk
TAG = "refs/tags/deployed/1"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


def a_candidate(repo: Path, parent: Rev | None, text: str = "a") -> Rev:
    return GIT.commit(repo, SIDE, {"flake.nix": text}, parent=parent, subject="try", at=None)


def test_a_commit_holds_exactly_its_files_and_is_hives(repo: Path) -> None:
    rev = grown(repo, "second", {"b/c": "deep\n", "a": ""})
    assert by_hand(repo, "ls-tree", "-r", "--name-only", rev).split() == ["a", "b/c"]
    said = by_hand(repo, "log", "-1", "--format=%an %ae %cn %ce %ct %s%n%b", rev)
    who = "hive-c0re hive-c0re@hyperhive"
    assert said == f"{who} {who} {int(AT.timestamp())} second"
    assert by_hand(repo, "fsck", "--strict", "--no-dangling") == ""


def test_the_same_content_is_the_same_commit_if_the_date_is_fixed(
    repo: Path, tmp_path: Path
) -> None:
    first = main_of(repo)
    again = a_repo(tmp_path / "again")
    assert a_candidate(repo, first) == a_candidate(repo, first) == a_candidate(again, first)
    assert a_candidate(repo, first, "b") != a_candidate(repo, first)


def test_a_commit_takes_the_ref_whatever_it_was(repo: Path) -> None:
    first = main_of(repo)
    a_candidate(repo, first, "a")
    made = a_candidate(repo, first, "b")
    assert GIT.ref(repo, SIDE) == made
    assert GIT.parent(repo, made) == first
    alone = a_candidate(repo, None, "c")
    assert GIT.ref(repo, SIDE) == alone
    assert GIT.parent(repo, alone) is None
    assert by_hand(repo, "ls-tree", "--name-only", alone) == "flake.nix"


def test_a_commit_beside_main_leaves_main_and_its_tree_as_they_were(repo: Path) -> None:
    before = main_of(repo)
    a_candidate(repo, before)
    assert main_of(repo) == before
    assert GIT.is_clean(repo)


def test_a_commit_on_what_is_not_there_is_not_made(repo: Path) -> None:
    with pytest.raises(CommandFailed):
        a_candidate(repo, GHOST)
    assert GIT.ref(repo, SIDE) is None


def test_refs_move_together(repo: Path) -> None:
    first = main_of(repo)
    made = a_candidate(repo, first)
    GIT.move(repo, RefMove(MAIN, made, first), RefMove(SIDE, None, made), RefMove(TAG, made, None))
    assert GIT.refs(repo) == {MAIN: made, TAG: made}
    GIT.move(repo)
    GIT.move(repo, RefMove(SIDE, None, None))
    assert GIT.refs(repo) == {MAIN: made, TAG: made}


WRONG: dict[str, Callable[[Rev, Rev], RefMove]] = {
    "another old value": lambda first, made: RefMove(MAIN, made, made),
    "there, and should not be": lambda first, made: RefMove(MAIN, made, None),
    "not there, and should be": lambda first, made: RefMove("refs/heads/none", made, first),
    "gone already": lambda first, made: RefMove("refs/heads/none", None, first),
    "no such commit": lambda first, made: RefMove(MAIN, GHOST, first),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_one_move_that_cannot_be_made_moves_nothing(
    repo: Path, wrong: Callable[[Rev, Rev], RefMove], packed: bool
) -> None:
    first = main_of(repo)
    made = a_candidate(repo, first)
    if packed:
        by_hand(repo, "pack-refs", "--all")
    before = GIT.refs(repo)
    moves = [RefMove(TAG, made, None), wrong(first, made), RefMove(SIDE, None, made)]
    with pytest.raises(CommandFailed):
        GIT.move(repo, *moves)
    assert GIT.refs(repo) == before
    assert not list((repo / ".git").rglob("*.lock"))


def test_a_fetch_brings_the_branch_and_no_tags(repo: Path, tmp_path: Path) -> None:
    by_hand(repo, "tag", "theirs")
    to = tmp_path / "applied"
    GIT.init(to)
    GIT.fetch(to, repo, f"{MAIN}:{MAIN}")
    assert GIT.refs(to) == {MAIN: main_of(repo)}
    assert not (to / ".git" / "FETCH_HEAD").exists()
    GIT.reset_tree(to)
    assert GIT.is_clean(to)
    assert (to / "flake.nix").read_text() == FILES["flake.nix"]


def test_a_fetch_of_what_is_not_there_is_refused(repo: Path, tmp_path: Path) -> None:
    to = tmp_path / "applied"
    GIT.init(to)
    with pytest.raises(Refused) as refused:
        GIT.fetch(to, repo, "refs/heads/none:refs/heads/none")
    assert refused.value.code == "no-such-ref"
    GIT.init(tmp_path / "empty")
    with pytest.raises(Refused) as refused:
        GIT.fetch(to, tmp_path / "empty", f"{MAIN}:{MAIN}")
    assert refused.value.code == "no-such-ref"


LOCKS = {"index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new"}
LOCKS |= {"refs/heads/main.lock", "refs/tags/deployed/0.lock", f"{SIDE}.lock"}


def left(repo: Path, locks: set[str]) -> None:
    for lock in locks:
        (repo / ".git" / lock).parent.mkdir(parents=True, exist_ok=True)
        (repo / ".git" / lock).write_text("")


def test_every_lock_that_a_killed_git_left_is_removed_and_told(repo: Path) -> None:
    left(repo, LOCKS)
    found = GIT.clear_corpses(repo, lambda path: True)
    assert {path.relative_to(repo / ".git").as_posix() for path in found} == LOCKS
    assert not any(path.exists() for path in found)
    assert GIT.clear_corpses(repo, lambda path: True) == ()
    GIT.move(repo, RefMove(TAG, main_of(repo), None))
    by_hand(repo, "pack-refs", "--all")
    GIT.move(repo, RefMove(TAG, None, main_of(repo)))


def test_a_lock_that_the_callers_own_does_not_cover_is_left(repo: Path) -> None:
    others = {"refs/heads/candidate/bob.lock"}
    left(repo, LOCKS | others)
    GIT.clear_corpses(repo, lambda path: path not in others)
    assert {path.name for path in (repo / ".git").rglob("*.lock")} == {"bob.lock"}


def test_where_there_is_no_repo_there_are_no_corpses(tmp_path: Path) -> None:
    assert GIT.clear_corpses(tmp_path / "none", lambda path: True) == ()


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "index.lock"])
def test_a_lock_in_the_way_may_pass(repo: Path, lock: str) -> None:
    left(repo, {lock})
    with pytest.raises(Transient) as raised:
        grown(repo, "second")
        GIT.reset_tree(repo)
    assert raised.value.code == "git-locked"
    assert "remove" in raised.value.hint


@pytest.mark.parametrize("name", ["plain", "a b", "a%20b", "a?b#c", "josé", "a&b=c", "a'b\"c", "~+"])
def test_a_url_names_its_repo_whatever_its_path(tmp_path: Path, name: str) -> None:
    repo = a_repo(tmp_path / name)
    url = GIT.url(repo)
    assert url.startswith("git+file:///")
    assert not set(url) & set(" ?#&\"'")
    assert url.isascii()
    assert unquote(url.removeprefix("git+file://")) == str(repo)
    by_hand(tmp_path, "clone", "-q", url.removeprefix("git+"), tmp_path / "clone")
    assert main_of(tmp_path / "clone") == main_of(repo)


def test_a_path_that_is_no_text_has_a_url_too(tmp_path: Path) -> None:
    assert GIT.url(Path(os.fsdecode(b"/srv/\xff"))) == "git+file:///srv/%FF"


def test_what_the_user_has_configured_does_not_apply(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / "hooks").mkdir()
    hook = home / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    hook.chmod(0o755)
    config = f"[core]\nhooksPath = {home}/hooks\n[user]\nname = me\n[commit]\ngpgSign = true\n"
    config += '[alias]\nmove = "!false"\n[init]\ndefaultBranch = other\n[core]\nautocrlf = true\n'
    (home / ".gitconfig").write_text(config)
    (home / ".config" / "git" / "ignore").write_text("*\n")
    (home / ".config" / "git" / "attributes").write_text("* text eol=crlf\n")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=true'")
    git = Git(LocalShell({"PATH": os.environ["PATH"], "HOME": str(home)}))
    other = tmp_path / "other"
    git.init(other)
    git.fetch(other, repo, f"{MAIN}:{MAIN}")
    git.reset_tree(other)
    assert (other / "flake.nix").read_bytes() == FILES["flake.nix"].encode()
    rev = git.commit(other, MAIN, FILES, parent=main_of(repo), subject="mine", at=AT)
    assert by_hand(other, "log", "-1", "--format=%an", rev) == "hive-c0re"
    assert git.is_clean(other)
    (other / "untracked").write_text("")
    assert not git.is_clean(other)
    assert not (tmp_path / "canary").exists()


def test_a_full_disk_is_trouble_that_passes(small_disk: Path) -> None:
    repo = a_repo(small_disk / "repo")
    before = main_of(repo)
    with pytest.raises(Transient) as raised:
        grown(repo, "large", {"large": os.urandom(4 << 20).hex()})
    assert raised.value.code == "disk-full"
    assert raised.value.hint
    assert main_of(repo) == before


def test_a_full_disk_is_told_of_a_ref_and_of_a_tree_too(small_disk: Path) -> None:
    repo = a_repo(small_disk / "repo", {"large": os.urandom(1 << 18).hex()})
    rev = main_of(repo)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(b"x" * 10**7)
    for act in (lambda: GIT.move(repo, RefMove(TAG, rev, None)), lambda: GIT.reset_tree(repo)):
        (repo / "large").unlink(missing_ok=True)
        with pytest.raises(OSError, match="No space left"), (small_disk / "rest").open("wb") as file:
            file.write(b"x" * 10**7)
        with pytest.raises(Transient) as raised:
            act()
        assert raised.value.code == "disk-full"
