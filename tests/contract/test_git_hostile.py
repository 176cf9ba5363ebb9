"""A fetch from hostile ground: nothing of it is run, nothing beyond it is read, no tree escapes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hive.adapters.git import MAIN
from hive.domain.names import Rev
from hive.errors import HiveError, Refused
from tests.contract.git_samples import GIT, SHELL, a_repo, by_hand, fetch, main_of

HOOKS = "post-checkout post-commit pre-commit post-index-change reference-transaction"
KEYS = (
    "core.fsmonitor", "core.sshCommand", "core.gitProxy", "core.pager", "core.editor",
    "core.askPass", "core.alternateRefsCommand", "core.attributesFile", "credential.helper",
    "uploadpack.packObjectsHook", "alias.upload-pack", "gpg.program", "sequence.editor",
    "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv",
    "diff.external", "merge.evil.driver", "trailer.evil.command", "remote.origin.uploadpack",
)  # fmt: skip
ATTRIBUTES = "* filter=evil diff=evil merge=evil text eol=crlf ident\n"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that leaves a sign when it runs."""
    program = tmp_path / "canary"
    program.write_text(f"#!/bin/sh\necho ran >>'{tmp_path}/sign'\ncat\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def sign(canary: Path) -> Iterator[Path]:
    sign = canary.with_name("sign")
    yield sign
    assert not sign.exists(), "a program of the hostile repo ran"


@pytest.fixture
def source(tmp_path: Path, sign: Path) -> Path:
    return a_repo(tmp_path / "agents" / "alice" / "config")


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    to = tmp_path / "applied"
    GIT.init(to)
    return to


def taken(applied: Path, source: Path) -> Rev:
    """As hive does it: fetched, its tree reset, looked at."""
    fetch(applied, source, f"{MAIN}:{MAIN}")
    GIT.reset_tree(applied)
    assert GIT.is_clean(applied)
    return main_of(applied)


def refused(applied: Path, source: Path) -> str:
    with pytest.raises(Refused) as raised:
        fetch(applied, source, f"{MAIN}:{MAIN}")
    assert raised.value.hint
    assert GIT.refs(applied) == {}
    return raised.value.code


def test_no_hook_of_a_source_is_run(source: Path, applied: Path, canary: Path, sign: Path) -> None:
    (source / ".git" / "hooks").mkdir()
    for hook in HOOKS.split():
        (source / ".git" / "hooks" / hook).symlink_to(canary)
    by_hand(source, "commit", "--allow-empty", "-qm", "the trap is set")
    sign.unlink()
    assert taken(applied, source) == main_of(source)


def test_no_program_that_a_sources_config_names_is_run(
    source: Path, applied: Path, canary: Path, sign: Path
) -> None:
    (source / ".gitattributes").write_text(ATTRIBUTES)
    by_hand(source, "add", ".")
    by_hand(source, "commit", "-qm", "attributes")
    for key in KEYS:
        by_hand(source, "config", key, str(canary))
    by_hand(source, "config", "filter.evil.required", "true")
    by_hand(source, "config", "core.hooksPath", str(canary.parent))
    by_hand(source, "config", "protocol.ext.allow", "always")
    with suppress(HiveError):  # which of the programs runs, and so the exit, is up to git's caches
        by_hand(source, "diff", "--ext-diff", "HEAD^")
    assert sign.exists(), "the trap is not set"
    sign.unlink()
    assert taken(applied, source) == main_of(source)


def test_what_a_source_says_is_elsewhere_is_not_sent_for(
    source: Path, applied: Path, canary: Path
) -> None:
    """A missing object of a partial clone is fetched by whatever its config names."""
    blob = by_hand(source, "rev-parse", "HEAD:flake.nix")
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": f"ext::{canary}",
        "remote.evil.uploadpack": str(canary),
        "protocol.ext.allow": "always",
    }.items():
        by_hand(source, "config", key, value)
    for url in (f"ext::{canary}", str(source)):
        by_hand(source, "config", "remote.evil.url", url)
        loose = source / ".git" / "objects" / blob[:2] / blob[2:]
        loose.unlink(missing_ok=True)
        with pytest.raises(HiveError):
            fetch(applied, source, f"{MAIN}:{MAIN}")
    assert GIT.refs(applied) == {}


def test_no_submodule_is_entered(source: Path, applied: Path, canary: Path) -> None:
    modules = f'[submodule "m"]\n\tpath = m\n\turl = "ext::{canary} %S"\n'
    (source / ".gitmodules").write_text(modules)
    rev = main_of(source)
    by_hand(source, "add", ".")
    by_hand(source, "update-index", "--add", "--cacheinfo", f"160000,{rev},m")
    by_hand(source, "commit", "-qm", "a submodule")
    by_hand(source, "config", "submodule.recurse", "true")
    by_hand(source, "config", "fetch.recurseSubmodules", "true")
    with_submodule = main_of(source)
    try:
        assert taken(applied, source) == with_submodule
    except HiveError:
        assert GIT.refs(applied) == {}
    assert not (applied / ".git" / "modules").exists()


def alternates(git: Path, other: Path) -> None:
    (git / "objects" / "info").mkdir(exist_ok=True)
    (git / "objects" / "info" / "alternates").write_text(f"{other}/objects\n")


def objects_link(git: Path, other: Path) -> None:
    (git / "objects").rename(git / "mine")
    (git / "objects").symlink_to(other / "objects")


def object_links(git: Path, other: Path) -> None:
    for folder in (other / "objects").iterdir():
        if not (git / "objects" / folder.name).exists():
            (git / "objects" / folder.name).symlink_to(folder)


def git_link(git: Path, other: Path) -> None:
    git.rename(git.with_name("mine"))
    git.symlink_to(other)


def git_file(git: Path, other: Path) -> None:
    git.rename(git.with_name("mine"))
    git.write_text(f"gitdir: {other}\n")


def commondir(git: Path, other: Path) -> None:
    (git / "commondir").write_text(f"{other}\n")


OUTSIDE = (alternates, objects_link, object_links, git_link, git_file, commondir)


@pytest.mark.parametrize("lead", OUTSIDE)
def test_a_source_that_takes_its_objects_from_elsewhere_is_refused(
    source: Path, applied: Path, tmp_path: Path, lead: Callable[[Path, Path], None]
) -> None:
    other = a_repo(tmp_path / "other", {"secret": "secret"}, "not the manager's")
    (source / ".git" / MAIN).write_text(f"{main_of(other)}\n")
    lead(source / ".git", other / ".git")
    assert refused(applied, source) == "unsafe-repo"


@pytest.mark.parametrize("name", ["HEAD", "config", "packed-refs", "refs/heads/x", "shallow"])
def test_a_source_that_would_never_be_read_to_its_end_is_refused(
    source: Path, applied: Path, name: str
) -> None:
    (source / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(source / ".git" / name)
    assert refused(applied, source) == "unsafe-repo"


def test_a_source_that_is_too_large_is_refused_unread(source: Path, applied: Path) -> None:
    for name in ("pack-1.idx", "pack-1.pack"):
        with (source / ".git" / "objects" / "pack" / name).open("wb") as pack:
            pack.truncate(1 << 40)
    assert refused(applied, source) == "too-large"


def test_a_source_as_deep_as_no_branch_is_refused(source: Path, applied: Path) -> None:
    handle = os.open(source / ".git" / "refs" / "heads", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("x", dir_fd=handle)
        below = os.open("x", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    try:
        assert refused(applied, source) == "unsafe-repo"
    finally:
        SHELL.run("rm", "-r", source / ".git" / "refs" / "heads" / "x")


def test_a_source_that_is_not_there_is_told(source: Path, applied: Path, tmp_path: Path) -> None:
    assert refused(applied, tmp_path / "none") == "no-such-ref"
    for entry in [*(source / ".git").iterdir()]:  # git would take the folder itself for bare
        entry.rename(source / entry.name)
    (source / ".git").rmdir()
    assert refused(applied, source) == "no-such-ref"
