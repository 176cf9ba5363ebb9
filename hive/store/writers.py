"""SQLite's writers of one process: one after the other, and those that wait share one commit."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from hive.store import prepared
from hive.store.prepared import Asked

PATIENCE: Final = 30.0  #: seconds that a writer waits for its turn
MOST: Final = 16  #: writers of one commit; who comes later is not waited for
STRONGEST: Final = "write"


@dataclass(slots=True)
class Part:
    """A transaction, or a part of one that others have begun."""

    connection: Connection
    with_commit: list[Asked] = field(default_factory=list)
    """What is sent last."""


class NotCommitted(sqlite3.OperationalError):
    """What was written together is not there: nothing of it, whoever made it fail."""

    def __init__(self, trouble: sqlite3.Error) -> None:
        super().__init__(f"{trouble}")
        self.orig = trouble


class Writers:
    """Each has its turn, in the order in which they came, as soon as the one before has ended.

    Left to SQLite they would ask again and again, and sleep in between. Who ends while another
    waits leaves the transaction to that one, and waits for the commit of the last.
    """

    def __init__(self, modes: Mapping[str, Engine]) -> None:
        self._modes = modes
        self._change = threading.Lock()
        self._waiting: deque[_Turn] = deque()
        self._is_taken = False

    @contextmanager
    def part(self, mode: str) -> Iterator[Part]:
        """A transaction, or a part of one; after it, what was written is on the disk."""
        group = self._joined(mode)
        try:
            with group.part() as part:
                yield part
        except BaseException:
            with suppress(sqlite3.Error, SQLAlchemyError):  # it says less than what undid this part
                self._leave(group)
            raise
        self._leave(group)

    def _joined(self, mode: str) -> _Group:
        turn = self._turn(mode)
        if turn.group is not None:
            return turn.group
        try:
            return _Group(mode, self._modes[mode])
        except BaseException:
            self._free()
            raise

    def _turn(self, mode: str) -> _Turn:
        turn = _Turn(mode)
        with self._change:
            if not self._is_taken:
                self._is_taken = True
                return turn
            self._waiting.append(turn)
        try:
            if not turn.has_come.wait(PATIENCE):
                raise _locked()
        except BaseException:
            self._give_up(turn)
            raise
        return turn

    def _give_up(self, turn: _Turn) -> None:
        with self._change:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        if turn.group is None:  # it came in just that moment
            self._free()
        else:
            self._leave(turn.group)

    def _leave(self, group: _Group) -> None:
        if not self._passed_on(group):
            try:
                group.end()
            finally:
                self._free()
            return
        group.is_over.wait()
        if group.trouble is not None:
            raise NotCommitted(group.trouble)

    def _passed_on(self, group: _Group) -> bool:
        with self._change:
            if not self._waiting or not group.takes_in(self._waiting[0].mode):
                return False
            turn = self._waiting.popleft()
            turn.group = group
        turn.has_come.set()
        return True

    def _free(self) -> None:
        with self._change:
            if not self._waiting:
                self._is_taken = False
                return
            turn = self._waiting.popleft()
        turn.has_come.set()


class Apart:
    """Each writer has a transaction of its own: PostgreSQL commits together by itself."""

    def __init__(self, modes: Mapping[str, Engine]) -> None:
        self._modes = modes

    @contextmanager
    def part(self, mode: str) -> Iterator[Part]:
        with self._modes[mode].connect() as connection:
            connection.begin()
            part = Part(connection)
            yield part
            prepared.commit(connection, *part.with_commit)


class _Turn:
    """Of one that waits; with it may come a transaction that others have begun."""

    __slots__ = ("group", "has_come", "mode")

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.has_come = threading.Event()
        self.group: _Group | None = None


class _Group:
    """One transaction, of which each writer has a part that it can undo alone."""

    def __init__(self, mode: str, engine: Engine) -> None:
        self.mode = mode
        self.is_over = threading.Event()
        self.trouble: sqlite3.Error | None = None
        """Why nothing of it is there."""
        self._parts = 0
        self._begun = ExitStack()
        self._connection = self._begun.enter_context(engine.begin())

    def takes_in(self, mode: str) -> bool:
        """A power cut may undo progress: so that is written with the rest, not the rest with it."""
        return self.trouble is None and self._parts < MOST and self.mode in (mode, STRONGEST)

    @contextmanager
    def part(self) -> Iterator[Part]:
        self._parts += 1
        part = Part(self._connection)
        try:
            self._say("SAVEPOINT part")
            yield part
            for asked in part.with_commit:
                prepared.send(self._connection, asked)
            self._say("RELEASE part")
        except BaseException as error:
            self._undo(error)
            raise

    def _undo(self, because: BaseException) -> None:
        """SQLite may have undone all of it by itself, as it does where there is no room.

        A connection that was interrupted at its work is given up, and all that is open there.
        """
        try:
            self._say("ROLLBACK TO part")
            self._say("RELEASE part")
        except (sqlite3.Error, SQLAlchemyError) as gone:
            self.trouble = _cause(because) or _cause(gone) or _not_committed(because)

    def end(self) -> None:
        """By who is the last of it: it is on the disk, or nothing of it is anywhere."""
        try:
            with self._begun:
                if self.trouble is not None:
                    raise NotCommitted(self.trouble)
        except BaseException as error:
            self.trouble = _cause(error) or _not_committed(error)
            raise
        finally:
            self.is_over.set()

    def _say(self, words: str) -> None:
        cast(sqlite3.Connection, self._connection.connection.dbapi_connection).execute(words)


def _locked() -> sqlite3.OperationalError:
    """As SQLite itself says it."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def _not_committed(because: BaseException) -> sqlite3.Error:
    """To those who shared it."""
    error = sqlite3.OperationalError(f"not committed: {because!r}")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def _cause(error: BaseException) -> sqlite3.Error | None:
    """What SQLite said, where it is that."""
    said = getattr(error, "orig", error)
    return said if isinstance(said, sqlite3.Error) else None
