"""A program's output, read live from pipes of our own by one thread that always ends.

One thread and `poll` rather than a thread a pipe: a blocked read cannot be called off, so a daemon
that keeps a pipe open would keep its reader too.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Final, Protocol

from hive.errors import TAIL_LINES

PIECE: Final = 64 * 1024  #: bytes; the longest line that is told in one piece
CHUNK: Final = 64 * 1024
PIPE_MOST: Final = 1024 * 1024  #: bytes; the most that a pipe can hold
READ_MOST: Final = 1024 * 1024  #: bytes; the longest line that a reader gets in one piece
QUIET: Final = timedelta(seconds=1)  #: a silence after which listeners are told of it

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Makes of what a program says what people read: of each line none, one or more.

    One that raises is asked no more: its program must still be read, and is told as it speaks.
    """

    def read(self, line: str) -> Iterable[str]: ...

    def idle(self) -> Iterable[str]:
        """What it held back, now that the program has said nothing for a while."""
        ...


class Listener(Protocol):
    def hear(self, chunk: bytes) -> None: ...

    def idle(self) -> None: ...

    def end(self) -> None: ...


class Lines:
    """Bytes in, lines out, as they happen; the last one needs no newline.

    With nobody to tell there is no cutting, and no `tail` either. With a reader it is the reader's
    words that are told and kept in the tail, made as safe for logs as a program's own.
    """

    def __init__(
        self, tell: Callable[[str], None] | None, *, keep: bool, reads: Reader | None = None
    ) -> None:
        self._tell = tell
        self._keep = keep
        self._reads = None if reads is None else _Reading(reads)
        self._most = READ_MOST if reads else PIECE
        self._chunks: list[bytes] = []
        self._rest = b""
        self._last: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def raw(self) -> bytes:
        return b"".join(self._chunks)

    @property
    def tail(self) -> str:
        return "\n".join(self._last)

    def hear(self, chunk: bytes) -> None:
        if self._keep:
            self._chunks.append(chunk)
        if self._tell is not None:
            self._cut(chunk, self._tell)

    def idle(self) -> None:
        if self._reads is not None and self._tell is not None:
            self._pass_on(map(_encoded, self._reads.idle()), self._tell)

    def end(self) -> None:
        if self._rest and self._tell is not None:
            self._say(self._rest, self._tell)
        self._rest = b""

    def _cut(self, chunk: bytes, tell: Callable[[str], None]) -> None:
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._say(line, tell)
        *full, self._rest = pieces(rest, self._most)
        for piece in full:
            self._say(piece, tell)

    def _say(self, line: bytes, tell: Callable[[str], None]) -> None:
        if self._reads is None:
            self._pass_on((line,), tell)
            return
        for whole in pieces(line, self._most):
            self._pass_on(map(_encoded, self._reads.read(readable(whole))), tell)

    def _pass_on(self, lines: Iterable[bytes], tell: Callable[[str], None]) -> None:
        for line in lines:
            for piece in pieces(line):
                text = readable(piece)
                self._last.append(text)
                tell(text)


class _Reading:
    """A reader, until it raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Reader | None = reader

    def read(self, line: str) -> tuple[str, ...]:
        return self._asked(lambda reader: reader.read(line), otherwise=(line,))

    def idle(self) -> tuple[str, ...]:
        return self._asked(lambda reader: reader.idle(), otherwise=())

    def _asked(
        self, ask: Callable[[Reader], Iterable[str]], *, otherwise: tuple[str, ...]
    ) -> tuple[str, ...]:
        if self._reader is None:
            return otherwise
        try:
            return tuple(ask(self._reader))
        except Exception:
            log.exception("pipes.reader-raised")
            self._reader = None
            return otherwise


class Pump:
    """Moves what comes through the pipes to its listeners, until all are closed or `finish`."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners: dict[int, Listener] = {}
        self._writes: list[int] = []
        self._stop, self._stopped = os.pipe()
        for listener in listeners:
            read, write = os.pipe()
            self._listeners[read] = listener
            self._writes.append(write)
        self._thread = threading.Thread(target=self._run, name="hive-pump", daemon=True)
        self._thread.start()

    @property
    def writes(self) -> tuple[int, ...]:
        """The ends for the program, one a listener."""
        return tuple(self._writes)

    def hand_over(self) -> None:
        """Close our copies of the program's ends, so that its exit is the end of the pipes."""
        while self._writes:
            os.close(self._writes.pop())

    def finish(self, grace: timedelta, patience: timedelta) -> bool:
        """After the program's exit: wait `grace` for the ends of the pipes, then do without.

        What the program itself wrote is in the pipes by now, and is always read. False when a
        listener was still busy after `patience`; the thread then closes up when it is done.
        """
        self.hand_over()
        self._thread.join(grace.total_seconds())
        os.close(self._stopped)
        self._thread.join(patience.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._read_until_stopped()
        finally:
            for read, listener in self._listeners.items():
                listener.end()
                os.close(read)
            os.close(self._stop)

    def _read_until_stopped(self) -> None:
        poll = select.poll()
        for read in (self._stop, *self._listeners):
            poll.register(read, select.POLLIN)
        while self._listeners:
            ready = {read for read, _ in poll.poll(QUIET / timedelta(milliseconds=1))}
            if not ready:
                self._idle()
            stopped = self._stop in ready
            # Looked at again: the last words may have come after the first look.
            last = {read for read, _ in poll.poll(0)} if stopped else ready
            for read in last & self._listeners.keys():
                if not self._read(read, PIPE_MOST if stopped else CHUNK):
                    poll.unregister(read)
                    os.close(read)
            if stopped:
                return

    def _idle(self) -> None:
        for listener in self._listeners.values():
            listener.idle()

    def _read(self, read: int, most: int) -> bool:
        """False at the end of the pipe, which then is no longer listened to."""
        chunk = os.read(read, most)
        if chunk:
            self._listeners[read].hear(chunk)
        else:
            self._listeners.pop(read).end()
        return bool(chunk)


def source(stdin: bytes | None) -> int:
    """A descriptor that reads as `stdin`, all there already, so that nobody has to feed it."""
    if stdin is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = _nameless_file()
    with open(descriptor, "wb", closefd=False) as file:
        file.write(stdin)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def pieces(line: bytes, most: int = PIECE) -> Iterator[bytes]:
    """At most so many bytes each, and no character cut in two."""
    while len(line) > most:
        cut = most
        while cut > most - 4 and line[cut] & 0xC0 == 0x80:
            cut -= 1
        yield line[:cut]
        line = line[cut:]
    yield line


def readable(line: bytes) -> str:
    """For logs: what is no text is escaped, NUL too, which PostgreSQL cannot store."""
    text = line.removesuffix(b"\r").decode("utf-8", errors="backslashreplace")
    return text.replace("\0", "\\x00")


def _encoded(text: str) -> bytes:
    """A reader's words may hold what UTF-8 cannot, such as half a character that JSON escaped."""
    return text.encode("utf-8", errors="backslashreplace")


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("stdin")  # in memory: what is handed over may be a secret
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
