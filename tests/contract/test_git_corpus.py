"""Every hostile repo of the table: nothing of it runs, hangs or escapes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive.adapters import hostile, weight
from hive.adapters.git import MAIN, Git
from hive.domain.names import Rev
from hive.errors import Halted, HiveError, Reason, Refused, Transient
from tests.contract.git_samples import (
    GIT,
    SHELL,
    a_repo,
    by_hand,
    fetch,
    grown,
    main_of,
)
from tests.contract.git_samples import hostile as taken_as_hostile
from tests.contract.hostile_repos import HOSTILE, SECRET, Make, Scene

PATIENCE = 20


@pytest.fixture(scope="module")
def mould(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two repos of every scene, to be copied."""
    folder = tmp_path_factory.mktemp("mould")
    a_repo(folder / "other", {"secret": SECRET}, SECRET)
    a_repo(folder / "agents" / "alice" / "config")
    return folder


@pytest.fixture
def scene(mould: Path, tmp_path: Path) -> Iterator[Scene]:
    shutil.copytree(mould, tmp_path, dirs_exist_ok=True)
    trap = tmp_path / "trap" / "trap"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\necho ran >>'{tmp_path}/sign'\ncat\n")
    trap.chmod(0o755)
    yield Scene(tmp_path / "agents" / "alice" / "config", tmp_path / "other", trap)
    assert not (tmp_path / "sign").exists(), "a program of the hostile repo ran"


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    to = tmp_path / "applied"
    GIT.init(to)
    return to


def contents(repo: Path) -> bytes:
    """Of every object that git has there."""
    return SHELL.run("git", "-C", repo, "cat-file", "--batch-all-objects", "--batch").raw


@pytest.mark.parametrize(("make", "codes"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_repo_is_refused_or_fetched_as_it_is(
    scene: Scene, applied: Path, make: Make, codes: set[str]
) -> None:
    make(scene)
    began = time.monotonic()
    if codes:
        with pytest.raises(Refused) as raised:
            fetch(applied, scene.repo, f"{MAIN}:{MAIN}")
        assert raised.value.code in codes
        assert raised.value.hint
        assert GIT.refs(applied) == {}
    else:
        fetch(applied, scene.repo, f"{MAIN}:{MAIN}")
        assert main_of(applied) == the_main(scene)
        GIT.reset_tree(applied)
        assert GIT.is_clean(applied)
        by_hand(applied, "fsck", "--strict", "--no-dangling")
    assert time.monotonic() - began < PATIENCE
    assert SECRET.encode() not in contents(applied)
    assert not (applied / ".git" / "modules").exists()


def the_main(scene: Scene) -> Rev:
    """What the repo's own file says, followed by hand."""
    said = scene.main.read_text().strip()
    return Rev(scene.main.with_name("other").read_text().strip() if said[:4] == "ref:" else said)


@pytest.mark.parametrize(("make", "codes"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_commit_is_looked_for_in_a_hostile_repo_without_harm(
    scene: Scene, tmp_path: Path, make: Make, codes: set[str]
) -> None:
    rev = main_of(scene.repo)
    make(scene)
    try:
        assert GIT.resolve(taken_as_hostile(scene.repo), rev[:9], scratch=tmp_path / "x") == rev
    except Refused as refused:
        assert refused.code in codes | {"no-such-rev"}
    assert not (tmp_path / "x").exists()


# Limits.


def a_pack(scene: Scene) -> None:
    for n in range(50):
        scene.store("blob", b"%d" % n)
    by_hand(scene.repo, "add", ".")
    grown(scene.repo, "second", {f"file-{n}": f"{n}" for n in range(50)})
    scene.packed()


@pytest.mark.parametrize(
    ("module", "limit", "low"),
    [
        (hostile, "LARGEST", 1000),
        (hostile, "MANY", 3),
        (hostile, "OBJECTS", 40),
        (weight, "UNPACKED", 1000),
        (weight, "TREES", 1000),
    ],
)
@pytest.mark.parametrize("is_packed", [True, False])
def test_each_limit_is_kept(
    scene: Scene,
    applied: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    limit: str,
    low: int,
    is_packed: bool,
) -> None:
    grown(scene.repo, "second", {f"file-{n}": f"{n}" * 50 for n in range(50)})
    if is_packed:
        scene.packed()
    fetch(applied, scene.repo, f"{MAIN}:refs/heads/before")
    monkeypatch.setattr(module, limit, low)
    with pytest.raises(Refused) as raised:
        fetch(applied, scene.repo, f"{MAIN}:{MAIN}")
    assert raised.value.code == "too-large"


# Meanwhile: `check` is where the repo's owner gets to act between two steps of the copy.


def growing(scene: Scene) -> None:
    with (scene.git / "packed-refs").open("ab") as file:
        file.write(b"#" * hostile.CHUNK)


def swapping_objects(scene: Scene) -> None:
    if not (scene.repo / "mine").exists():
        (scene.git / "objects").rename(scene.repo / "mine")
        (scene.git / "objects").symlink_to(scene.other / ".git" / "objects")


def swapping_the_repo(scene: Scene) -> None:
    if not (scene.repo / "mine").exists():
        scene.git.rename(scene.repo / "mine")
        scene.git.symlink_to(scene.other / ".git")


def swapping_files(scene: Scene) -> None:
    for file in (scene.git / "objects").rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.unlink()
            os.mkfifo(file)


def repacking(scene: Scene) -> None:
    by_hand(scene.repo, "gc", "--quiet", "--prune=now")


@pytest.mark.parametrize(
    "act", [growing, swapping_objects, swapping_the_repo, swapping_files, repacking]
)
def test_a_repo_that_changes_while_it_is_copied_leads_nowhere(
    scene: Scene, applied: Path, act: Callable[[Scene], None]
) -> None:
    rev = main_of(scene.repo)
    git = Git(SHELL, check=lambda: act(scene))
    try:
        fetch(applied, scene.repo, f"{MAIN}:{MAIN}", git=git)
    except (Refused, Transient) as error:
        assert error.code in ("unsafe-repo", "too-large", "no-such-ref", "in-use")
        assert GIT.refs(applied) == {}
    else:
        assert main_of(applied) == rev
    assert SECRET.encode() not in contents(applied)


def test_a_copy_is_no_link_that_its_owner_could_still_write(scene: Scene, tmp_path: Path) -> None:
    taken_as_hostile(scene.repo).copy(tmp_path / "copy")
    copied = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert len(copied) > 5
    assert {path.stat().st_nlink for path in copied} == {1}
    theirs = {path.stat().st_ino for path in scene.git.rglob("*")}
    assert theirs.isdisjoint(path.stat().st_ino for path in copied)


def test_a_halt_ends_a_copy_and_nothing_is_left(scene: Scene, applied: Path) -> None:
    def halted() -> None:
        raise Halted(Reason.CANCELLED)

    with pytest.raises(Halted):
        fetch(applied, scene.repo, f"{MAIN}:{MAIN}", git=Git(SHELL, check=halted))


def test_a_repo_behind_a_link_is_not_read(scene: Scene, applied: Path) -> None:
    """The manager may put a link in place of an agent's whole home."""
    home = scene.repo.parent
    home.rename(home.with_name("mine"))
    home.symlink_to(scene.other.parent)
    source = hostile.HostileRepo(taken_as_hostile(home).ground, "alice/other")
    with pytest.raises(Refused) as raised:
        GIT.fetch(applied, source, f"{MAIN}:{MAIN}", scratch=applied.with_name("scratch"))
    assert raised.value.code in ("unsafe-repo", "no-such-ref")


# One commit.


def test_a_commit_is_found_by_its_first_digits_whether_a_branch_names_it_or_not(
    scene: Scene, tmp_path: Path
) -> None:
    first = main_of(scene.repo)
    second = grown(scene.repo, "second")
    by_hand(scene.repo, "reset", "-q", "--hard", first)
    source = taken_as_hostile(scene.repo)
    for is_packed in (False, True):
        for rev in (first, second):
            for digits in (7, 12, 40):
                assert GIT.resolve(source, rev[:digits], scratch=tmp_path / "x") == rev
        by_hand(scene.repo, "repack", "-adk", "-q") if not is_packed else None


@pytest.mark.parametrize("word", ["main", "HEAD", "123456", "1" * 41, "ABCDEF1", "-1234567", ""])
def test_what_is_no_id_is_not_looked_for(scene: Scene, tmp_path: Path, word: str) -> None:
    assert asked(scene, word, tmp_path) == "bad-rev"


def asked(scene: Scene, prefix: str, tmp_path: Path) -> str:
    with pytest.raises(HiveError) as raised:
        GIT.resolve(taken_as_hostile(scene.repo), prefix, scratch=tmp_path / "x")
    assert raised.value.hint
    return raised.value.code


def test_what_is_not_there_or_no_commit_is_refused(scene: Scene, tmp_path: Path) -> None:
    assert asked(scene, "1" * 40, tmp_path) == "no-such-rev"
    assert asked(scene, main_of(scene.other)[:12], tmp_path) == "no-such-rev"
    by_hand(scene.repo, "tag", "-am", "x", "tag")
    for name in ("HEAD:flake.nix", "HEAD^{tree}", "tag"):
        odd = by_hand(scene.repo, "rev-parse", name)
        assert asked(scene, odd[:12], tmp_path) == "not-a-commit"


def test_two_commits_that_begin_alike_are_ambiguous(scene: Scene, tmp_path: Path) -> None:
    rev = main_of(scene.repo)
    scene.store("commit", b"x", name=rev[:10] + "0" * 30)
    assert asked(scene, rev[:10], tmp_path) == "ambiguous-rev"
    assert GIT.resolve(taken_as_hostile(scene.repo), rev[:12], scratch=tmp_path / "x") == rev


def test_a_full_id_that_lies_loose_is_a_commit_without_a_copy(scene: Scene, tmp_path: Path) -> None:
    source, rev = taken_as_hostile(scene.repo), main_of(scene.repo)
    assert source.has_commit(rev)
    blob = by_hand(scene.repo, "rev-parse", "HEAD:flake.nix")
    scene.store("commit", b"x", name="ab" + "0" * 38)
    (scene.repo / ".git/objects/ab" / ("1" * 38)).write_bytes(b"no zlib")
    (scene.repo / ".git/objects/ab" / ("2" * 38)).symlink_to(scene.repo / ".git/HEAD")
    os.mkfifo(scene.repo / ".git/objects/ab" / ("3" * 38))
    odd = (blob, "ab" + "1" * 38, "ab" + "3" * 38, "ab" + "4" * 38, "cd" + "0" * 38)
    assert not any(source.has_commit(name) for name in odd)
    assert asked(scene, blob, tmp_path) != rev
    by_hand(scene.repo, "repack", "-adq")
    assert not source.has_commit(rev)


def test_a_file_that_begins_like_a_commit_does_not_hide_it(scene: Scene, tmp_path: Path) -> None:
    rev = main_of(scene.repo)
    scene.store("blob", b"x", name=rev[:10] + "0" * 30)
    assert GIT.resolve(taken_as_hostile(scene.repo), rev[:10], scratch=tmp_path / "x") == rev


def test_a_commit_is_fetched_by_its_id_alone(scene: Scene, applied: Path) -> None:
    first = main_of(scene.repo)
    second = grown(scene.repo, "second")
    by_hand(scene.repo, "reset", "-q", "--hard", first)
    fetch(applied, scene.repo, f"{second}:refs/tags/proposal/7")
    assert GIT.refs(applied) == {"refs/tags/proposal/7": second}
