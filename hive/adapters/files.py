"""Files and folders: written beside and renamed; no link followed in a folder that an agent writes.

`Files` is for folders that hive alone writes. `Beneath` is for hostile ground: every part of the
path below its root is opened with `O_NOFOLLOW`, so that a link planted there leads nowhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hive.errors import Fault, HiveError, Refused, Transient

LIMIT = 1 << 20
"""Bytes that are read of a file in a hostile folder."""
ANY = "surrogateescape"
"""How bytes that are no UTF-8 go through text unchanged."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def outside(error: OSError, at: Path | None = None) -> HiveError:
    """What the file system said, as ours; `at` where it did not say of which file."""
    said = ": ".join(str(part) for part in (error.strerror or error, at or error.filename) if part)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Transient(said, code="disk-full", hint="free some space, then run it again")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Refused(
                said, code="not-permitted", hint="run as root, or set HIVE_STATE_DIR to your own"
            )
        case errno.ELOOP | errno.ENOTDIR | errno.EEXIST | errno.EISDIR | errno.ENOTEMPTY:
            return Refused(said, code="in-the-way", hint="look at it, and move it away")
        case _:
            return Transient(said, code="file-system", hint="look at the disk, then run it again")


@contextmanager
def told(at: Path | None = None) -> Iterator[None]:
    """Whatever the file system says in here is raised as ours."""
    try:
        yield
    except OSError as error:
        raise outside(error, at) from error


@dataclass(frozen=True, slots=True)
class Files:
    """Folders that hive alone writes."""

    def read(self, path: Path) -> str | None:
        """The text to the letter, or None where there is no file, or no process any more.

        Bytes that are no text come back as they were when this is written.
        """
        with told(path):
            try:
                return path.read_bytes().decode(errors=ANY)
            except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
                return None

    def write(self, path: Path, text: str, *, mode: int = 0o644) -> None:
        """Beside, to the disk, and renamed: nobody sees half of it."""
        beside = path.with_name(f".{path.name}.new")
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            try:
                _fill(os.open(beside, NEW, mode), text.encode(errors=ANY), mode)
                beside.replace(path)
            except OSError:
                beside.unlink(missing_ok=True)
                raise
            self._sync(path.parent)

    def try_writing(self, folder: Path) -> None:
        """Raises as a write there would; nothing is left, and nobody is in the way of another."""
        with told(), tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
            file.flush()

    def remove(self, path: Path) -> None:
        with told():
            path.unlink(missing_ok=True)

    def is_folder(self, path: Path, *, mode: int | None = None) -> bool:
        """A real folder, with that mode where one is given."""
        with told():
            try:
                found = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return stat.S_ISDIR(found.st_mode) and mode in (None, stat.S_IMODE(found.st_mode))

    def make_folder(self, path: Path, *, mode: int) -> None:
        with told():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.mkdir(mode=mode)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchmod(handle, mode)
            finally:
                os.close(handle)

    def entries(self, folder: Path) -> tuple[str, ...]:
        with told():
            try:
                return tuple(sorted(entry.name for entry in folder.iterdir()))
            except (FileNotFoundError, NotADirectoryError):
                return ()

    def move(self, source: Path, to: Path) -> None:
        """Rename within one file system; what is at `to` must be absent or an empty folder."""
        with told():
            to.parent.mkdir(parents=True, exist_ok=True)
            source.rename(to)
            self._sync(to.parent)

    def wipe(self, folder: Path) -> None:
        """Remove a folder and all in it, following no link; absent is fine."""
        with told(), suppress(FileNotFoundError):
            if folder.is_symlink():
                raise _odd(folder, "is a link, not a folder")
            shutil.rmtree(folder)

    def link(self, path: Path) -> Path | None:
        """Where a symbolic link points, not followed further; None where there is no link."""
        try:
            return path.readlink()
        except OSError:
            return None

    def exists(self, path: Path) -> bool:
        return os.path.lexists(path)

    def _sync(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
                _fill(os.open(beside, NEW, mode, dir_fd=parent), data, mode)
                os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                with suppress(OSError):
                    os.unlink(beside, dir_fd=parent)
                raise
            os.fsync(parent)

    def take_in(self, source: Path, path: str) -> None:
        """Rename a folder of hive's own to `path`, which must be absent or an empty folder."""
        with told(self.root / path), self._beside(path) as (parent, name):
            os.rename(source, name, dst_dir_fd=parent)
            os.fsync(parent)


def _mode_of(name: str, parent: int) -> int:
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode


def _expect_file(mode: int, at: Path) -> None:
    if not stat.S_ISREG(mode):
        raise _odd(at, "is not a regular file")


def _read(handle: int, at: Path) -> bytes:
    """All of it, if it is a file of a sensible size: it may have been swapped since the look."""
    try:
        _expect_file(os.fstat(handle).st_mode, at)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(LIMIT + 1)
    finally:
        os.close(handle)
    if len(data) > LIMIT:
        raise _odd(at, f"is larger than {LIMIT} bytes")
    return data


def _fill(handle: int, data: bytes, mode: int) -> None:
    """Write it all, to the disk."""
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _odd(path: Path, because: str) -> Refused:
    return Refused(f"{path} {because}", code="in-the-way", hint="look at it, and move it away")
