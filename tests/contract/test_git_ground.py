"""What git meets on a host: locks left behind, odd paths, a user's config, a full disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from hive.adapters.git import MAIN, Git
from hive.adapters.shell import LocalShell
from hive.adapters.streams import RefMove
from hive.errors import Transient
from tests.contract import ground
from tests.contract.git_samples import (
    AT,
    FILES,
    GIT,
    SIDE,
    a_repo,
    by_hand,
    fetch,
    grown,
    main_of,
)

small_disk = ground.small_disk


TAG = "refs/tags/deployed/1"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


LOCKS = {"index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new"}
LOCKS |= {"refs/heads/main.lock", "refs/tags/deployed/0.lock", f"{SIDE}.lock"}
LOCKS |= {"objects/pack/tmp_pack_a1B2c3", "objects/4f/tmp_obj_Qq"}


def left(repo: Path, locks: set[str]) -> None:
    for lock in locks:
        (repo / ".git" / lock).parent.mkdir(parents=True, exist_ok=True)
        (repo / ".git" / lock).write_text("")


def test_every_lock_that_a_killed_git_left_is_removed_and_told(repo: Path) -> None:
    left(repo, LOCKS)
    found = GIT.clear_corpses(repo)
    assert {path.relative_to(repo / ".git").as_posix() for path in found} == LOCKS
    assert not any(path.exists() for path in found)
    assert GIT.clear_corpses(repo) == ()
    GIT.move(repo, RefMove(TAG, main_of(repo), None))
    by_hand(repo, "pack-refs", "--all")
    GIT.move(repo, RefMove(TAG, None, main_of(repo)))


def test_where_there_is_no_repo_there_are_no_corpses(tmp_path: Path) -> None:
    assert GIT.clear_corpses(tmp_path / "none") == ()


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "index.lock"])
def test_a_lock_in_the_way_may_pass(repo: Path, lock: str) -> None:
    left(repo, {lock})
    with pytest.raises(Transient) as raised:
        grown(repo, "second")
        GIT.reset_tree(repo)
    assert raised.value.code == "git-locked"
    assert "remove" in raised.value.hint


@pytest.mark.parametrize(
    "name", ["plain", "a b", "a%20b", "a?b#c", "josé", "a&b=c", "a'b\"c", "~+"]
)
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
    fetch(other, repo, f"{MAIN}:{MAIN}", git=git)
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
    acts: list[Callable[[], None]] = [
        lambda: GIT.move(repo, RefMove(TAG, rev, None)),
        lambda: GIT.reset_tree(repo),
    ]
    for act in acts:
        (repo / "large").unlink(missing_ok=True)
        with (
            pytest.raises(OSError, match="No space left"),
            (small_disk / "rest").open("wb") as file,
        ):
            file.write(b"x" * 10**7)
        with pytest.raises(Transient) as raised:
            act()
        assert raised.value.code == "disk-full"
