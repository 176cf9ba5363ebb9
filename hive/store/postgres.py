"""PostgreSQL's part: through psycopg 3, with a deadline on every statement."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

DRIVER: Final = "postgresql+psycopg"
DEADLINE: Final = "-c statement_timeout=10s"
DEFAULTS: Final = {
    "connect_timeout": "10",
    "application_name": "hive",
    "tcp_user_timeout": "15000",  # ms; a server that is gone without a word hangs nobody for long
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

UNPREPARED: Final = {"prepare_threshold": None}
"""psycopg throws away all that is prepared at each rollback, which every read ends with. What is
worth it is prepared by `hive.store.pipe`."""

USED: Final = "hive.used"
IDLE: Final = 1.0  #: seconds

BEGIN: Final = {
    "progress": "SET LOCAL synchronous_commit = off",
    "migrate": "SET LOCAL statement_timeout = 0",
}


def engine_of(url: URL) -> Engine:
    query = {**DEFAULTS, **url.query, "options": f"{DEADLINE} {_options(url)}".strip()}
    engine = create_engine(
        url.set(drivername=DRIVER, query=query), connect_args=UNPREPARED, hide_parameters=True
    )

    @event.listens_for(engine, "checkout")
    def _ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        """One that has lain idle may be dead; one that was just in use is not asked."""
        if time.monotonic() - record.info.get(USED, float("-inf")) > IDLE:
            refuse_dead(engine, connection)

    @event.listens_for(engine, "checkin")
    def _back(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[USED] = time.monotonic()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("mode", "write")
        if mode in BEGIN:
            connection.exec_driver_sql(BEGIN[mode])

    return engine


def refuse_dead(engine: Engine, connection: DBAPIConnection) -> None:
    """Raises what makes the pool take another one, a new one at last."""
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError(str(error)) from error


def _options(url: URL) -> str:
    """The operator's own, after ours, so that theirs win."""
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)
