"""Objects that lie loose are read without a program, and all others by git: with one answer."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from hive.adapters import loose
from hive.adapters.git import MAIN
from tests.contract.git_samples import GIT, Told, a_repo, grown

DEPLOY = "deploy alice deployed/"


def an_object(repo: Path, name: str) -> Path:
    return repo / ".git" / "objects" / name[:2] / name[2:]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return a_repo(tmp_path / "repo")


def test_what_lies_loose_starts_no_program(repo: Path) -> None:
    first = GIT.ref(repo, MAIN)
    rev = grown(repo, f"{DEPLOY}3 x", {"flake.nix": "{ }\n", "a/b/c": "deep é"})
    told = Told()
    asked = ("flake.nix", "a/b/c", "a/b", "a", "b", "a/b/c/d", "flake.nix/x")
    found = told.git.files(repo, rev, *asked)
    assert found == ("{ }\n", "deep é", None, None, None, None, None)
    assert told.git.parent(repo, rev) == first
    assert told.git.newest_subject(repo, rev, DEPLOY) == f"{DEPLOY}3 x"
    assert told.git.newest_subject(repo, rev, "deploy bob") is None
    assert told.started == []


def test_what_is_packed_is_read_by_git_with_the_same_answer(repo: Path) -> None:
    rev = grown(repo, f"{DEPLOY}3 x", {"flake.nix": "{ }\n", "a/b": "deep"})
    asked = ("flake.nix", "a/b", "none")
    before = Told().git.files(repo, rev, *asked)
    parent = Told().git.parent(repo, rev)
    GIT._run(repo, "repack", "-adq")  # nothing lies loose any more
    told = Told()
    assert told.git.files(repo, rev, *asked) == before
    assert told.git.parent(repo, rev) == parent
    assert told.git.newest_subject(repo, rev, DEPLOY) == f"{DEPLOY}3 x"
    assert len(told.started) == 3


def test_far_back_git_is_asked(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose, "WALK", 3)
    wanted = grown(repo, f"{DEPLOY}1 x", {"n": "0"})
    rev = wanted
    for number in range(4):
        rev = grown(repo, f"more {number}", {"n": f"{number + 1}"})
    told = Told()
    assert told.git.newest_subject(repo, rev, DEPLOY) == f"{DEPLOY}1 x"
    assert len(told.started) == 1
    assert told.git.newest_subject(repo, wanted, DEPLOY) == f"{DEPLOY}1 x"
    assert len(told.started) == 1


@pytest.mark.parametrize(
    "raw",
    [b"", b"no zlib", zlib.compress(b""), zlib.compress(b"commit 4\0tree"),
     zlib.compress(b"commit 9\0tree"), zlib.compress(b"blob 4\0tree"),
     zlib.compress(b"commit x\0tree"), zlib.compress(b"commit -1\0tree"),
     zlib.compress(b"commit 4\0tree" + bytes(10**8)), zlib.compress(b"commit 4\0tree")[:-4],
     zlib.compress(b"commit %d\0tree" % 2**40)],
)  # fmt: skip
def test_half_an_object_is_left_to_git(repo: Path, raw: bytes) -> None:
    rev = grown(repo, "more", {"file": "text"})
    at = an_object(repo, rev)
    at.chmod(0o644)
    at.write_bytes(raw)
    with pytest.raises(loose.Unknown):
        loose.commit(repo / ".git", rev)


def test_an_object_that_has_anothers_name_is_left_to_git(repo: Path) -> None:
    rev = grown(repo, "more", {"file": "text"})
    other = GIT._run(repo, "hash-object", "-w", "--stdin", stdin=b"another text").out.strip()
    blob = GIT._run(repo, "rev-parse", f"{rev}:file").out.strip()
    an_object(repo, other).rename(an_object(repo, blob))
    with pytest.raises(loose.Unknown):
        loose.file(repo / ".git", rev, "file")


@pytest.mark.parametrize("rev", ["", "HEAD", "../../config", "a" * 39, "a" * 40])
def test_what_is_no_id_or_not_there_is_left_to_git(repo: Path, rev: str) -> None:
    with pytest.raises(loose.Unknown):
        loose.file(repo / ".git", rev, "file")
