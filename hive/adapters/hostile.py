"""A hostile repo, looked through before git reads it.

git follows links, alternates and `gitdir:` files wherever they lead: whoever writes a repo could
have root's git read another one, or a pipe that never ends. A repo that is changed after the look
is still read by a git that runs nothing of it, within a deadline.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hive.adapters.files import outside
from hive.errors import Refused

LARGEST = 1 << 30
"""Bytes of a whole repo. What agents are made of is text."""
MANY = 200_000
"""Files of a whole repo."""

#: What git reads below `.git` when someone fetches; the hooks and logs beside it are not read.
READ = ("HEAD", "config", "config.worktree", "info", "objects", "packed-refs", "refs", "shallow")
#: Where git goes on to, from below `.git`.
ELSEWHERE = ("commondir", "objects/info/alternates", "objects/info/http-alternates")


def look_through(repo: Path) -> None:
    """Raises `Refused` where git would be led out of `repo/.git`, or would not come to an end."""
    home = repo / ".git"
    if not os.path.lexists(home):
        raise Refused(
            f"there is no repo in {repo}",
            code="no-such-ref",
            hint="make one there and commit to its `main`, then run it again",
        )
    if not stat.S_ISDIR(home.lstat().st_mode):
        raise _unsafe(home, "is no folder")
    for name in ELSEWHERE:
        if os.path.lexists(home / name):
            raise _unsafe(home / name, "names another repo")
    try:
        _measure(home)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP):
            raise _unsafe(home, f"cannot be looked through: {error.strerror}") from None
        raise outside(error) from error


def _measure(home: Path) -> None:
    size = 0
    for count, (at, found) in enumerate(_all(home)):
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise _unsafe(at, "is neither a file nor a folder")
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
        if size > LARGEST or count > MANY:
            raise Refused(
                f"{home} is larger than {LARGEST} bytes or {MANY} files",
                code="too-large",
                hint="an agent's repo holds text: take what is large out of its history",
            )


def _all(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All that git reads, and no link followed; what is deleted meanwhile is passed over."""
    waiting = [home / name for name in READ]
    while waiting:
        at = waiting.pop()
        try:
            found = at.lstat()
            if stat.S_ISDIR(found.st_mode):
                with os.scandir(at) as entries:
                    waiting += (Path(entry.path) for entry in islice(entries, MANY + 1))
        except FileNotFoundError:
            continue
        yield at, found


def _unsafe(at: Path, because: str) -> Refused:
    return Refused(
        f"{at} {because}: hive fetches from ordinary repos alone",
        code="unsafe-repo",
        hint="look who made it so; `git clone --no-local` makes an ordinary copy",
    )
