"""Folders that an agent writes: every part of a path is opened without following a link.

So a link that is planted there leads nowhere, also when it is planted at that very moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hive.adapters.files import NEW, fill, in_the_way, told
from hive.adapters.wipe import nothing, wipe
from hive.errors import Fault

LIMIT = 1 << 20
"""Bytes that are read of a file."""


@dataclass(frozen=True, slots=True)
class Beneath:
    """A hostile folder, below a root that is hive's own. What lies behind a link is not there."""

    root: Path

    @contextmanager
    def _inside(self, folder: PurePosixPath) -> Iterator[int]:
        """A descriptor of `folder`, reached without following a link."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self.root, flags)
        try:
            for part in folder.parts:
                below = os.open(part, flags, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _beside(self, path: str) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that `path` is in, and its name there."""
        at = PurePosixPath(path)
        if at.is_absolute() or ".." in at.parts or not at.name:
            raise Fault(
                f"{path!r} does not stay below {self.root}",
                code="outside-root",
                hint="report it: hive asked for this path",
            )
        with self._inside(at.parent) as parent:
            yield parent, at.name

    def _mode(self, path: str) -> int | None:
        """Of what is at `path`, be it a link; None where nothing is."""
        with told(self.root / path):
            try:
                with self._beside(path) as (parent, name):
                    return _mode_of(name, parent)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def is_folder(self, path: str, *, mode: int | None = None) -> bool:
        found = self._mode(path) or 0
        return stat.S_ISDIR(found) and mode in (None, stat.S_IMODE(found))

    def make_folder(self, path: str, *, mode: int) -> None:
        with told(self.root / path), self._beside(path) as (parent, name):
            with suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=parent)
            with self._inside(PurePosixPath(path)) as made:
                os.fchmod(made, mode)

    def exists(self, path: str) -> bool:
        return self._mode(path) is not None

    def read(self, path: str) -> bytes | None:
        """A regular file's bytes; None where there is none. Pipes and devices are not opened."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with told(self.root / path):
            try:
                with self._beside(path) as (parent, name):
                    _expect_file(_mode_of(name, parent), self.root / path)
                    handle = os.open(name, flags, dir_fd=parent)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return _read(handle, self.root / path)

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Beside, and renamed over whatever is there, which is not followed."""
        with told(self.root / path), self._beside(path) as (parent, name):
            beside = f".{name}.hive-new"
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=parent)
            try:
                fill(os.open(beside, NEW, mode, dir_fd=parent), data, mode)
                os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=parent)
                raise
            os.fsync(parent)

    def wipe(self, path: str, check: Callable[[], None] = nothing) -> None:
        """Remove the folder and all in it; absent is fine. What `check` raises ends it midway.

        `Refused` before anything is removed where something is mounted in it.
        """
        with (
            told(self.root / path),
            suppress(FileNotFoundError),
            self._beside(path) as (parent, name),
        ):
            wipe(parent, name, self.root / path, check)

    def take_in(self, source: Path, path: str) -> None:
        """Rename a folder of hive's own to `path`, which must be absent or an empty folder."""
        with told(self.root / path), self._beside(path) as (parent, name):
            os.rename(source, name, dst_dir_fd=parent)
            os.fsync(parent)


def _mode_of(name: str, parent: int) -> int:
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode


def _expect_file(mode: int, at: Path) -> None:
    if not stat.S_ISREG(mode):
        raise in_the_way(at, "is not a regular file")


def _read(handle: int, at: Path) -> bytes:
    """All of it, if it is a file of a sensible size: it may have been swapped since the look."""
    try:
        _expect_file(os.fstat(handle).st_mode, at)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(LIMIT + 1)
    finally:
        os.close(handle)
    if len(data) > LIMIT:
        raise in_the_way(at, f"is larger than {LIMIT} bytes")
    return data
