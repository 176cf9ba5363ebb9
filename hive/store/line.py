"""One connection for words that follow each other closely: another one costs a fifth of a word."""

from __future__ import annotations

import time
from typing import Any, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DisconnectionError

from hive.store import postgres, prepared
from hive.store.prepared import Asked, Found
from hive.store.session import Database


class Line:
    """A connection that is kept while words follow each other closely; on PostgreSQL only.

    Of one thread at a time. One that has lain idle may be dead, and is asked first.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._used = 0.0

    def send(self, *asked: Asked) -> list[Found]:
        """The rows of each; together they are a transaction, which is not looked at before its end.

        Where it raises, nothing of it is so, but where the connection was lost meanwhile.
        """
        with self._database.door("write") as engine:
            try:
                found = prepared.send_alone(self._connected(engine), *asked)
            except BaseException:  # also an interrupt: the next word shall not be answered by this
                self.close()
                raise
            self._used = time.monotonic()
            return found

    def close(self) -> None:
        """Twice is once; it may be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self, engine: Engine) -> Connection:
        if self._connection is not None and time.monotonic() - self._used > postgres.IDLE:
            self._give_up_dead(engine, self._connection)
        if self._connection is None:
            self._connection = engine.connect()
        return self._connection

    def _give_up_dead(self, engine: Engine, connection: Connection) -> None:
        try:
            postgres.refuse_dead(engine, cast(Any, connection.connection.dbapi_connection))
        except DisconnectionError:
            connection.invalidate()
            self.close()
