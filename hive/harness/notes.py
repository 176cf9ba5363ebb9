"""The file in which messages are noted, one line of JSON each: on the disk before it is said so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from hive.client.answers import Message
from hive.errors import Transient

NAME: Final = "inbox.jsonl"
OLDER: Final = "inbox.older.jsonl"
"""What the file was before this one; what was there before that has gone."""
MOST: Final = 16_000_000
"""Bytes of each of the two."""
KEPT: Final = ("id", "from", "text", "topic", "data", "reply_to", "sent_at")
Mark = tuple[int, str]
"""Which message: its number and when it was sent, as a new database gives numbers again."""


@dataclass(slots=True)
class Notes:
    """Lines are only ever added. Half a line, of who was killed in it, stays, and is not read.

    A file that is full is put aside in one rename, in the place of the one before it.
    """

    path: Path
    _file: _File
    _known: set[Mark] = field(default_factory=set)
    _is_torn: bool = False

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """What stands in it is on the disk, and known. Raises as `note` does."""
        path = folder / NAME
        with _told(path), closing(_File(path)) as file:
            notes = cls(path, file)
            notes._read(folder / OLDER)
            notes._read(path)
            os.fsync(file.number)
            _sync(folder)
            yield notes

    def __len__(self) -> int:
        return len(self._known)

    def note(self, message: Message) -> bool:
        """Whether it was new. On the disk when this returns.

        Raises `NotNoted`: then it may stand there or not, which is known once these notes are
        opened again.
        """
        mark = message["id"], message["sent_at"]
        if mark in self._known:
            return False
        line = json.dumps({key: message[key] for key in KEPT}) + "\n"
        with _told(self.path):
            if self._file.size + len(line) >= MOST:
                self._turn_over()
            _write(self._file.number, ("\n" if self._is_torn else "") + line)
            os.fsync(self._file.number)
        self._is_torn = False
        self._known.add(mark)
        return True

    def _turn_over(self) -> None:
        """An empty file; only what stands in the full one is known besides."""
        self.path.rename(self.path.with_name(OLDER))
        self._file.open()
        _sync(self.path.parent)
        self._known.clear()
        self._read(self.path.with_name(OLDER))
        self._is_torn = False

    def _read(self, path: Path) -> None:
        self._is_torn = False
        if not path.exists():
            return
        with path.open("rb") as lines:
            for line in lines:
                self._is_torn = not line.endswith(b"\n")
                if (mark := _mark(line)) is not None:
                    self._known.add(mark)


class _File:
    """Private to its owner, and never written over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.number = self._opened()

    @property
    def size(self) -> int:
        return os.fstat(self.number).st_size

    def open(self) -> None:
        """What is at its path now, in the place of what it was."""
        opened = self._opened()
        self.close()
        self.number = opened

    def close(self) -> None:
        os.close(self.number)

    def _opened(self) -> int:
        how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, how, mode=0o600)


def _mark(line: bytes) -> Mark | None:
    """None for half a line, and for what somebody else wrote there."""
    try:
        said: Any = json.loads(line)
        return int(said["id"]), str(said["sent_at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _write(file: int, text: str) -> None:
    """All of it: a disk that fills up takes the first part only, and says so at the next."""
    left = memoryview(text.encode())
    while left:
        left = left[os.write(file, left) :]


def _sync(folder: Path) -> None:
    """A new file is there after a power cut only once its folder is on the disk, too."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotNoted(
            f"messages cannot be noted in {path}: {error.strerror or error}",
            hint=f"look at {path.parent}: is it full, or not this user's? No message is lost",
        ) from error


class NotNoted(Transient):
    """The state folder does not take it: messages stay where they are."""

    default_code = "not-noted"
