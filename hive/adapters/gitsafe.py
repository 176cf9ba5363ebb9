"""What every git of hive is told, so that nothing of a repo is run; and what its trouble means."""

from __future__ import annotations

import os
from pathlib import Path

from hive.adapters import weight
from hive.adapters.hostile import HostileRepo
from hive.errors import CommandFailed, HiveError, Refused, Transient

#: No hook, no program of a config, no file at the user's home, no detached gc that would keep an
#: inherited lock, no transport but local files; refs and commits reach the disk before git says so.
SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.fsync=committed,loose-object,reference",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.fsckObjects=true",
    "advice.detachedHead=false",
)
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_AUTHOR_NAME": "hive-c0re",
    "GIT_AUTHOR_EMAIL": "hive-c0re@hyperhive",
    "GIT_COMMITTER_NAME": "hive-c0re",
    "GIT_COMMITTER_EMAIL": "hive-c0re@hyperhive",
    # Not with `-c`: an error shows the command, in one line.
    "GIT_CONFIG_COUNT": str(len(SAFE)),
    **{f"GIT_CONFIG_KEY_{n}": word.partition("=")[0] for n, word in enumerate(SAFE)},
    **{f"GIT_CONFIG_VALUE_{n}": word.partition("=")[2] for n, word in enumerate(SAFE)},
}
ON_A_COPY = ENVIRONMENT | {"GIT_ALLOC_LIMIT": "256m", "GIT_NO_REPLACE_OBJECTS": "1"}
"""For what reads objects that someone else made: git asks for no more memory than this at once,
whatever they claim."""
FULL = ("No space left on device", "Out of diskspace", "Disk quota exceeded")
ROOM = 1 << 20
"""Bytes that a disk has left when git's trouble is put down to that: it has many words for it."""


def said(failed: CommandFailed, repo: Path | None) -> Exception:
    """A full disk and a lock that a killed git left have a hint of their own."""
    if any(words in failed.tail for words in FULL) or (repo and _is_full(repo)):
        return Transient(
            f"the disk is full: {failed.message}",
            code="disk-full",
            hint="free some space, then run it again",
        )
    if "couldn't find remote ref" in failed.tail:
        return Refused(
            f"there is no such branch: {failed.tail.splitlines()[-1]}",
            code="no-such-ref",
            hint="commit to `main` there, then run it again",
        )
    if ".lock': File exists" in failed.tail:
        return Transient(
            f"a lock of git is in the way: {failed.message}",
            code="git-locked",
            hint="another git may be at work there; if none is, remove the file that it names",
        )
    return failed


def broken(failed: CommandFailed, source: HostileRepo) -> HiveError:
    """Nobody else writes the copy: what git cannot take from it, it cannot take at all."""
    last = failed.tail.strip().splitlines()[-1:] or ["git does not say why"]
    if "attempting to allocate" in failed.tail:
        return weight.too_large(f"{source.home} unpacks to too much: {last[0]}")
    passes = failed.exit_code < 0 or "signal 9" in failed.tail  # the kernel was out of memory
    is_rejected = (
        "[rejected]" in failed.tail and "shallow" not in failed.tail
    )  # our own ref's doing
    if not passes and not is_rejected:
        return Refused(
            f"{source.home} cannot be fetched: {last[0]}",
            code="unsafe-repo",
            hint="`git fsck` there says more; `git clone --no-local` makes an ordinary copy",
        )
    return failed


def _is_full(repo: Path) -> bool:
    try:
        disk = os.statvfs(repo)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < ROOM or (disk.f_files > 0 and disk.f_favail == 0)
