"""Changes to files that hold when their maker is killed at any point, and locks that go with it."""

from __future__ import annotations

import errno
import fcntl
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_beside(path: str, content: str | bytes, *, tmp: str, mode: int = 0o644) -> None:
    """`path` holds `content`: the old one or the new one, at every moment."""
    beside = _beside(path, tmp)
    with open(beside, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        os.fchmod(file.fileno(), mode)
    _swap(beside, path)


def link_beside(path: str, target: str, *, tmp: str) -> None:
    """`path` is a link to `target`; a link that was there is swapped, never missing."""
    beside = _beside(path, tmp)
    if os.path.lexists(beside):
        os.unlink(beside)
    os.symlink(target, beside)
    _swap(beside, path)


def _beside(path: str, tmp: str) -> str:
    """A name for the thing in the making, in the sim's own folder: what is left by a kill is no
    `*.new` in anyone else's."""
    os.makedirs(tmp, exist_ok=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.path.join(tmp, f"{os.getpid()}-{os.path.basename(path)}")


def _swap(beside: str, path: str) -> None:
    try:
        os.replace(beside, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = os.path.join(os.path.dirname(path), f".{os.path.basename(beside)}")
        _copy(beside, near)
        os.replace(near, path)


def _copy(source: str, target: str) -> None:
    import shutil

    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy2(source, target, follow_symlinks=False)
    os.unlink(source)


def read_json(path: str) -> dict[str, Any]:
    """What was written there; nothing, where there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except (FileNotFoundError, NotADirectoryError):
        return {}


def remove_tree(path: str) -> None:
    """`path` is gone where that is possible; links are not followed."""
    import shutil

    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    else:
        shutil.rmtree(path, ignore_errors=True)


class Lock:
    """An exclusive `flock`, for a `with`; `held` is False where it was not to be waited for."""

    def __init__(self, path: str, *, wait: bool = True) -> None:
        self.path, self.wait, self.held = path, wait, False

    def __enter__(self) -> Lock:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if self.wait else fcntl.LOCK_NB))
            self.held = True
        except BlockingIOError:
            self.held = False
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
