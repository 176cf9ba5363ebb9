"""Statements to PostgreSQL in one go, and their rows: one word to the server for all of them.

psycopg's cursors are made for any statement, and in its pipeline each of them wakes the server: for
rows that every job reads and writes, that takes longer than the rows. These go by libpq's own
calls, which psycopg hands on as `psycopg.pq`. Values become words, and words values, by psycopg.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import Buffer, PGresult

Row = tuple[Any, ...]
Command = tuple[bytes, Sequence[Any]]
"""A statement whose parameters are `$1` and so on, and these."""
Dumped = Sequence[Buffer | None]

BEGIN: Final[Command] = (b"BEGIN", ())
BEGIN_TO_READ: Final[Command] = (b"BEGIN READ ONLY", ())
COMMIT: Final[Command] = (b"COMMIT", ())
DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
GONE: Final = "the connection to the server was lost"


class Pipe:
    """Of one connection, used by one thread at a time as that is."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver
        self._libpq = driver.pgconn
        self._adapt = Transformer(driver)
        self._names: dict[bytes, bytes] = {}
        self._numbers = count(1)

    def send(self, *commands: Command, commits: bool = False) -> list[list[Row]]:
        """The rows of each. A transaction is begun where none is, and committed where asked.

        Raises psycopg's errors. What is behind one that fails is not done.
        """
        before = [] if self._is_in_transaction else [self._begin]
        after = [COMMIT] if commits else []
        return self._sent(before, commands, after)

    def send_alone(self, *commands: Command) -> list[list[Row]]:
        """The rows of each: the server makes a transaction of all of them.

        Raises as `send`; then nothing of it is so, but where the connection was lost meanwhile.
        While a transaction is open nothing is sent: it might be undone later.
        """
        if self._is_in_transaction:
            raise psycopg.ProgrammingError("a transaction is open, of which this would be a part")
        return self._sent([], commands, [])

    def _sent(
        self, before: Sequence[Command], commands: Sequence[Command], after: Sequence[Command]
    ) -> list[list[Row]]:
        answers = self._answers([*before, *commands, *after])
        return [self._rows(one) for one in answers[len(before) : len(before) + len(commands)]]

    @property
    def _is_in_transaction(self) -> bool:
        return self._libpq.transaction_status != TransactionStatus.IDLE

    @property
    def _begin(self) -> Command:
        return BEGIN_TO_READ if self._driver.read_only else BEGIN

    def _answers(self, commands: Sequence[Command]) -> list[PGresult]:
        known = set(self._names)
        try:
            return self._answered(commands)
        except BaseException:
            for sql in self._names.keys() - known:  # it may never have come to that
                del self._names[sql]
            raise

    def _answered(self, commands: Sequence[Command]) -> list[PGresult]:
        given = [(sql, self._dumped(params)) for sql, params in commands]  # it may refuse one
        self._libpq.enter_pipeline_mode()
        is_answer = [part for sql, params in given for part in self._put(sql, params)]
        self._libpq.pipeline_sync()
        self._flush()
        found = [self._next() for _ in is_answer]
        synced = self._next()
        if synced.status != ExecStatus.PIPELINE_SYNC:  # a commit of the server's own has failed
            raise error_from_result(synced, self._driver.info.encoding)
        self._libpq.exit_pipeline_mode()
        for one in found:
            if one.status not in DONE:
                raise error_from_result(one, self._driver.info.encoding)
        return [one for one, is_one in zip(found, is_answer, strict=True) if is_one]

    def _dumped(self, params: Sequence[Any]) -> Dumped:
        return self._adapt.dump_sequence(params, [PyFormat.TEXT] * len(params))

    def _put(self, sql: bytes, given: Dumped) -> list[bool]:
        """Of each part that is answered, whether that is the statement's own answer."""
        name = self._names.get(sql)
        if name is not None:
            self._libpq.send_query_prepared(name, given)
            return [True]
        name = self._names[sql] = b"hive_%d" % next(self._numbers)
        self._libpq.send_prepare(name, sql)
        self._libpq.send_query_prepared(name, given)
        return [False, True]

    def _flush(self) -> None:
        while self._libpq.flush():  # not all of it went out
            self._wait(select.POLLIN | select.POLLOUT)
            self._libpq.consume_input()

    def _next(self) -> PGresult:
        """The next answer; between two of them libpq says that one is over."""
        while True:
            while self._libpq.is_busy():
                self._wait(select.POLLIN)
                self._libpq.consume_input()
            found = self._libpq.get_result()
            if found is not None:
                return found
            if self._libpq.status == ConnStatus.BAD:
                raise psycopg.OperationalError(GONE)

    def _wait(self, what: int) -> None:
        ready = select.poll()
        ready.register(self._libpq.socket, what)
        ready.poll()

    def _rows(self, answer: PGresult) -> list[Row]:
        self._adapt.set_pgresult(answer)
        return self._adapt.load_rows(0, answer.ntuples, tuple)
