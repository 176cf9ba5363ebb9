"""Repos that the tests of git begin with, and a person's own git beside hive's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hive.adapters.beneath import Beneath
from hive.adapters.git import MAIN, Git
from hive.adapters.hostile import HostileRepo
from hive.adapters.shell import LocalShell, Stream
from hive.domain.names import Rev

SHELL = LocalShell({"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
AT = datetime(2031, 4, 5, 6, 7, 8, tzinfo=UTC)
FILES: Mapping[str, str] = {"flake.nix": "{ }\n", "agent.nix": "{ ... }: { }\n"}
GHOST = Rev("1" * 40)
SIDE = "refs/heads/candidate/alice"
PERSON = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}

GIT = Git(SHELL)


def by_hand(repo: Path, *words: str | Path, stdin: bytes | None = None) -> str:
    """What a person's git says in a repo, with that repo's own config and hooks."""
    return SHELL.run("git", "-C", repo, *words, env=PERSON, stdin=stdin).out.strip()


def a_repo(at: Path, files: Mapping[str, str] = FILES, subject: str = "init") -> Path:
    """One of hive's, with one commit on main."""
    GIT.init(at)
    GIT.commit(at, MAIN, files, parent=None, subject=subject, at=AT)
    GIT.reset_tree(at)
    return at


def main_of(repo: Path) -> Rev:
    found = GIT.ref(repo, MAIN)
    assert found is not None
    return found


def hostile(repo: Path) -> HostileRepo:
    """As hive takes it when someone else writes it."""
    return HostileRepo(Beneath(repo.parent), repo.name)


def fetch(to: Path, source: Path, *refspecs: str, git: Git = GIT) -> None:
    scratch = to.with_name(f"{to.name}-scratch")
    try:
        git.fetch(to, hostile(source), *refspecs, scratch=scratch)
    finally:
        assert not scratch.exists()


def grown(repo: Path, subject: str, files: Mapping[str, str] = FILES, ref: str = MAIN) -> Rev:
    """One commit more."""
    return GIT.commit(repo, ref, files, parent=GIT.ref(repo, ref), subject=subject, at=AT)


class Told:
    """A git, and the programs that it started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.git = Git(LocalShell({"PATH": os.environ["PATH"]}, tell=self._hear))

    def _hear(self, stream: Stream, line: str) -> None:
        if stream is Stream.COMMAND:
            self.started.append(line)
