"""Folders that an agent writes: every part of a path is opened without following a link.

So a link that is planted there leads nowhere, also when it is planted at that very moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hive.adapters.files import NEW, fill, in_the_way, told
from hive.adapters.seals import IMMUTABLE, flags_of, set_flags
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
        handle = open_folder(self.root)
        try:
            for part in folder.parts:
                below = open_folder(part, handle)
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

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A descriptor of the folder at `path`. Raises OSError as the file system does."""
        with self._beside(path) as (parent, name):
            handle = open_folder(name, parent)
        try:
            yield handle
        finally:
            os.close(handle)

    def _mode(self, path: str) -> int | None:
        """Of what is at `path`, be it a link; None where nothing is."""
        with told(self.root / path):
            try:
                with self._beside(path) as (parent, name):
                    return mode_of(name, parent)
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

    def entries(self, path: str) -> tuple[str, ...]:
        """Names in a folder; none where there is no folder."""
        with told(self.root / path):
            try:
                with self._inside(PurePosixPath(path)) as folder:
                    return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - of a descriptor
            except (FileNotFoundError, NotADirectoryError):
                return ()

    def exists(self, path: str) -> bool:
        return self._mode(path) is not None

    def read(self, path: str) -> bytes | None:
        """A regular file's bytes; None where there is none. Pipes and devices are not opened."""
        with told(self.root / path):
            try:
                with self._beside(path) as (parent, name):
                    handle = open_file(name, parent)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if handle is None:
                raise in_the_way(self.root / path, "is not a regular file")
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

    def seal(self, path: str) -> bool:
        """No entry of the folder becomes another one: see `seals`. False where that cannot be."""
        with suppress(OSError), self.folder(path) as handle:
            flags = flags_of(handle)
            if flags is not None:
                set_flags(handle, flags | IMMUTABLE)
                return True
        return False

    @contextmanager
    def unsealed(self, path: str) -> Iterator[None]:
        """Meanwhile entries can be made in the folder, if there is one; then it is as it was."""
        with ExitStack() as stack:
            with told(self.root / path), suppress(FileNotFoundError, NotADirectoryError):
                handle = stack.enter_context(self.folder(path))
                flags = flags_of(handle) or 0
                if flags & IMMUTABLE:
                    set_flags(handle, flags & ~IMMUTABLE)
                    stack.callback(set_flags, handle, flags)
            yield

    def take_from(self, other: Beneath, path: str) -> None:
        """Rename what is at `path` of the other folder to here, where nothing may be."""
        with (
            told(self.root / path),
            other._beside(path) as (source, name),
            self._beside(path) as (parent, _),
        ):
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=parent)
            os.fsync(parent)
            os.fsync(source)

    def take_in(self, source: Path, path: str) -> None:
        """Rename a folder of hive's own to `path`, which must be absent or an empty folder."""
        with told(self.root / path), self._beside(path) as (parent, name):
            os.rename(source, name, dst_dir_fd=parent)
            os.fsync(parent)


def open_folder(name: str | Path, parent: int | None = None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=parent)


def open_file(name: str, parent: int) -> int | None:
    """To read; None where it is no regular file, which is then not opened at all."""
    look = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(look).st_mode):
            return None
        # Just what was looked at, whatever has its name by now.
        return os.open(f"/proc/self/fd/{look}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(look)


def mode_of(name: str, parent: int) -> int:
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode


def _read(handle: int, at: Path) -> bytes:
    """All of it, if it is of a sensible size."""
    with os.fdopen(handle, "rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise in_the_way(at, f"is larger than {LIMIT} bytes")
    return data
