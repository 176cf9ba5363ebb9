"""PostgreSQL's part: through psycopg 3, with a deadline on every statement."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

DRIVER: Final = "postgresql+psycopg"
DEADLINE: Final = "-c statement_timeout=10s"
DEFAULTS: Final = {"connect_timeout": "10", "application_name": "hive"}

BEGIN: Final = {
    "progress": "SET LOCAL synchronous_commit = off",
    "migrate": "SET LOCAL statement_timeout = 0",
}


def engine_of(url: URL) -> Engine:
    query = {**DEFAULTS, **url.query, "options": f"{DEADLINE} {_options(url)}".strip()}
    engine = create_engine(
        url.set(drivername=DRIVER, query=query), pool_pre_ping=True, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("mode", "write")
        if mode in BEGIN:
            connection.exec_driver_sql(BEGIN[mode])

    return engine


def _options(url: URL) -> str:
    """The operator's own, after ours, so that theirs win."""
    given = url.query.get("options", "")
    return given if isinstance(given, str) else " ".join(given)
