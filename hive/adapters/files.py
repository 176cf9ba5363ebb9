"""Files and folders that hive alone writes: written beside, and renamed."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hive.adapters.wipe import wipe
from hive.errors import HiveError, Refused, Transient

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
class Measured:
    size: int
    changed_at: datetime


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
                fill(os.open(beside, NEW, mode), text.encode(errors=ANY), mode)
                beside.replace(path)
            except OSError:
                beside.unlink(missing_ok=True)
                raise
            self._sync(path.parent)

    def may_write(self, folder: Path) -> bool:
        """The kernel would let this process make files there: asked, it costs next to nothing."""
        return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)

    def jot(self, path: Path, text: str) -> None:
        """In a folder of things in the making: it need not outlive a crash of the host."""
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode(errors=ANY))

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
        with told(folder):
            try:
                parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
            try:
                wipe(parent, folder.name, folder)
            finally:
                os.close(parent)

    def measured(self, *folders: Path) -> tuple[Measured | None, ...]:
        """Bytes of all files in each, and its newest change; no link is followed.

        None where it cannot be gone through, as it is too deep.
        """
        return tuple(_measured(folder) for folder in folders)

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


def _measured(top: Path) -> Measured | None:
    """By descriptors, so that a folder that becomes a link meanwhile leads nowhere."""
    size, newest = 0, 0.0
    try:
        for _, folders, files, at in os.fwalk(top, follow_symlinks=False):
            for name in (*folders, *files, "."):
                with suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=at, follow_symlinks=False)
                    size += found.st_size if stat.S_ISREG(found.st_mode) else 0
                    newest = max(newest, found.st_mtime)
    except FileNotFoundError:
        return Measured(0, datetime.fromtimestamp(0, UTC))
    except (OSError, RecursionError):
        return None
    return Measured(size, datetime.fromtimestamp(newest, UTC))


def fill(handle: int, data: bytes, mode: int) -> None:
    """Write it all, to the disk."""
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(data)
        file.flush()
        os.fsync(handle)


def in_the_way(path: Path, because: str) -> Refused:
    return Refused(f"{path} {because}", code="in-the-way", hint="look at it, and move it away")
