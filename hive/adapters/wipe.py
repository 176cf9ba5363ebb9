"""A folder and all in it, removed, whoever wrote it and whatever happens in it meanwhile.

Everything is named beneath the descriptor of the folder it is in, so no link is followed, and no
path is too long. What lies deep is lifted to the top before it is entered: a few descriptors are
enough for any depth, and who moves folders about leads nobody out by a `..`. Whatever is left when
this is killed, the next wipe removes. Raises OSError as the file system does: callers tell it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from hive.adapters.seals import SEALS, flags_of, set_flags
from hive.errors import Refused, Transient

DEEP: Final = 32
"""Folders that are open at a time; what lies deeper is lifted."""
PASSES: Final = 100
"""How often a folder is gone through again because someone keeps on filling it."""

OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def nothing() -> None:
    """Says: go on."""


def wipe(parent: int, name: str, at: Path, check: Callable[[], None] = nothing) -> None:
    """Remove the folder `name` of `parent`, which messages call `at`; absent is fine.

    Before anything is removed it raises `Refused` where something is mounted there, be it the same
    disk once more. `check` is asked before each entry, and may raise.
    """
    try:
        top = _opened(name, parent)
    except FileNotFoundError:
        return
    levels = [_Level(name, top)]
    try:
        _expect_no_mount(parent, top, at)
        _Wipe(parent, at, levels, check).all()
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=parent, follow_symlinks=False)
            raise _filled(at)  # it was moved away, and something else put there
    finally:
        for level in levels:
            level.close()


class _Level:
    """A folder that is open, and how far it has been gone through."""

    def __init__(self, name: str, handle: int) -> None:
        self.name, self.handle = name, handle
        self.passes = 0
        self.listing = os.scandir(handle)

    def again(self) -> None:
        self.passes += 1
        self.listing.close()
        self.listing = os.scandir(self.handle)

    def close(self) -> None:
        self.listing.close()
        os.close(self.handle)


class _Wipe:
    """The way through one folder; `levels` are those that it is in, from the top down."""

    def __init__(
        self, parent: int, at: Path, levels: list[_Level], check: Callable[[], None]
    ) -> None:
        self._parent, self._at, self._levels, self._check = parent, at, levels, check
        self._mount = mount_of(levels[0].handle)

    def all(self) -> None:
        while self._levels:
            self._check()
            level = self._levels[-1]
            entry = next(level.listing, None)
            # What vanishes is gone. What turns into something else meanwhile is met once more.
            with suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                if entry is None:
                    self._leave(level)
                elif entry.is_dir(follow_symlinks=False):
                    self._enter(level, entry.name)
                else:
                    unlink = partial(os.unlink, entry.name, dir_fd=level.handle)
                    self._do(unlink, level.handle, entry.name)

    def _leave(self, level: _Level) -> None:
        """Up, when it is empty; else through it again: of what was made or lifted meanwhile."""
        up = self._levels[-2].handle if len(self._levels) > 1 else self._parent
        try:
            if not self._removed(up, level.name):
                self._again(level)
                return
        except (FileNotFoundError, NotADirectoryError):
            pass  # someone moved it away, or put something else there
        level.close()
        self._levels.pop()

    def _again(self, level: _Level) -> None:
        level.again()
        if level.passes > PASSES:
            raise _filled(self._at)

    def _enter(self, level: _Level, name: str) -> None:
        if self._removed(level.handle, name):
            return
        below = _Level(name, _opened(name, level.handle))
        try:
            if mount_of(below.handle) != self._mount:
                raise _mounted(self._named(name))
            if len(self._levels) < DEEP:
                self._levels.append(below)
            else:
                self._lift(level, name)
        finally:
            if below not in self._levels:
                below.close()

    def _lift(self, level: _Level, name: str) -> None:
        """To the top, under a name that nobody could foresee; it is met there on the next pass."""
        top = self._levels[0]
        fresh = f".hive-{secrets.token_hex(16)}"
        rename = partial(os.rename, name, fresh, src_dir_fd=level.handle, dst_dir_fd=top.handle)
        self._do(rename, level.handle, name)
        top.passes = 0

    def _removed(self, parent: int, name: str) -> bool:
        """The folder, if it is empty."""
        try:
            self._do(partial(os.rmdir, name, dir_fd=parent), parent, name)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        return True

    def _do(self, act: Callable[[], None], parent: int, name: str) -> None:
        """Once more without `chattr +i` and `+a` where the kernel does not permit it."""
        try:
            act()
        except PermissionError:
            if parent != self._parent:  # that one stays, and so does its seal
                _unseal(parent, self._named(name).parent)
            _unseal_entry(name, parent, self._named(name))
            act()

    def _named(self, name: str) -> Path:
        """For messages; what was lifted has the name that it was given."""
        return self._at.joinpath(*(level.name for level in self._levels[1:]), name)


def _opened(name: str, parent: int) -> int:
    """The folder of that name, and no link, with every right in it that its owner can have."""
    flags = OPEN | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        handle = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        with _looked_at(name, parent) as found:
            os.chmod(found, stat.S_IRWXU)  # noqa: PTH101 - a descriptor, whatever it is called
            handle = os.open(found, OPEN | os.O_DIRECTORY)
    if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(OSError):  # then the kernel says so when something is removed
            os.fchmod(handle, stat.S_IRWXU)
    return handle


@contextmanager
def _looked_at(name: str, parent: int) -> Iterator[str]:
    """A path that leads to just this file, not opened, whatever takes its name meanwhile."""
    look = os.open(name, LOOK, dir_fd=parent)
    try:
        yield f"/proc/self/fd/{look}"
    finally:
        os.close(look)


def _unseal_entry(name: str, parent: int, at: Path) -> None:
    with suppress(OSError), _looked_at(name, parent) as found:
        mode = os.stat(found).st_mode  # noqa: PTH116
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # pipes and devices are not opened
            return
        handle = os.open(found, OPEN)
        try:
            _unseal(handle, at)
        finally:
            os.close(handle)


def _unseal(handle: int, at: Path) -> None:
    flags = flags_of(handle)
    if flags is None or not flags & SEALS:
        return
    try:
        set_flags(handle, flags & ~SEALS)
    except OSError as error:
        raise Refused(
            f"{at} is immutable or append-only: {error.strerror}",
            code="immutable",
            hint="clear it with `chattr -i -a`, as root, then run it again",
        ) from error


def mount_of(handle: int) -> str:
    """The kernel's number of the mount that it was opened on: each bind mount has its own."""
    found = re.search(r"^mnt_id:\s*(\d+)$", Path(f"/proc/self/fdinfo/{handle}").read_text(), re.M)
    return found[1] if found else ""


def _expect_no_mount(parent: int, top: int, at: Path) -> None:
    """The kernel lists every mount, also of a single file, however deep it lies."""
    here = os.fsencode(os.readlink(f"/proc/self/fd/{top}"))  # noqa: PTH115 - it is no path of ours
    if mount_of(parent) != mount_of(top):
        raise _mounted(at)
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), line.split()[4])
        if point == here or point.startswith(here + b"/"):
            raise _mounted(at / os.fsdecode(point[len(here) + 1 :]))


def _filled(at: Path) -> Transient:
    return Transient(
        f"{at} is being written while it is removed",
        code="in-use",
        hint="stop whoever writes there, then run it again",
    )


def _mounted(at: Path) -> Refused:
    return Refused(
        f"something is mounted at {at}",
        code="mount-inside",
        hint="see what it is, unmount it, then run it again; nothing of it was removed",
    )
