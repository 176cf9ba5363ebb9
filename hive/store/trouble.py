"""What a database's driver says, in hive's words, and never with a password."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from hive.errors import Fault, HiveError, Refused, Transient

UNAVAILABLE: Final = "database-unavailable"
FULL: Final = "database-full"
NOT_WRITABLE: Final = "state-not-writable"
NOT_MIGRATED: Final = "database-not-migrated"
FAULT: Final = "database-fault"

_KINDS: Final[dict[str, type[HiveError]]] = {
    UNAVAILABLE: Transient,
    FULL: Transient,
    NOT_WRITABLE: Refused,
    NOT_MIGRATED: Refused,
    FAULT: Fault,
}
HINTS: Final = {
    UNAVAILABLE: "check HIVE_DATABASE_URL, and that the database runs; 'hive doctor' looks",
    FULL: "free some disk space, then try again; what was accepted is kept",
    NOT_WRITABLE: "run as the user that owns it, or set HIVE_STATE_DIR or HIVE_DATABASE_URL",
    NOT_MIGRATED: "hive db upgrade",
    FAULT: "this is a bug in hive; report it with this message",
}

#: Result codes, of which the extended one goes first. What is not here is a `Fault`.
_SQLITE: Final = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: FULL,  # the WAL's index finds no room; an extended code
    sqlite3.SQLITE_PERM: NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: NOT_WRITABLE,
    sqlite3.SQLITE_READONLY: NOT_WRITABLE,
    sqlite3.SQLITE_BUSY: UNAVAILABLE,
    sqlite3.SQLITE_LOCKED: UNAVAILABLE,
    sqlite3.SQLITE_IOERR: UNAVAILABLE,
    sqlite3.SQLITE_PROTOCOL: UNAVAILABLE,
    sqlite3.SQLITE_CORRUPT: UNAVAILABLE,
    sqlite3.SQLITE_NOTADB: UNAVAILABLE,
    sqlite3.SQLITE_NOMEM: UNAVAILABLE,
}
_SQLITE_HINTS: Final = {
    sqlite3.SQLITE_BUSY: "another process holds it; try again, or see which with 'fuser'",
    sqlite3.SQLITE_IOERR: "look at the disk that it lies on, and at the kernel's log",
    sqlite3.SQLITE_CORRUPT: "restore it from a backup",
    sqlite3.SQLITE_NOTADB: "restore it from a backup, or set HIVE_DATABASE_URL to another file",
}
_POSTGRES: Final = {
    "53100": FULL,
    "42501": NOT_WRITABLE,
    "42P01": NOT_MIGRATED,
    "42703": NOT_MIGRATED,
    "25006": UNAVAILABLE,  # a standby: the primary is being changed
}
#: Connection, login, catalog, rollback, resources, not in state, intervention, system, internal.
_POSTGRES_CLASSES: Final = {"08", "28", "3D", "40", "53", "55", "57", "58", "XX"}
_READ_ONLY: Final = "25006"


def named(url: URL) -> str:
    """The database, as people call it: never with a password, wherever in the URL it stands."""
    if url.get_backend_name() == "sqlite":
        return f"{url.database}"
    port = f":{url.port}" if url.port else ""
    return f"PostgreSQL '{url.database}' at {url.host or 'its socket'}{port}"


def ours(error: Exception, url: URL, *, reading: bool = False) -> HiveError:
    """The same trouble as one line of hive's. `reading`: a refused write is then hive's own bug."""
    cause = getattr(error, "orig", None) or error
    code = FAULT if reading and _is_refused_write(cause) else _code(error, cause)
    hint = HINTS[code] if code == FULL else _SQLITE_HINTS.get(_primary(cause), HINTS[code])
    return _KINDS[code](f"{named(url)}: {_said(cause)}", code=code, hint=hint)


def _code(error: Exception, cause: BaseException) -> str:
    if isinstance(error, PoolExhausted):
        return UNAVAILABLE
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    return _of_postgres(error, cause) if isinstance(error, DBAPIError) else FAULT


def _of_sqlite(cause: sqlite3.Error) -> str:
    if str(cause).startswith(("no such table", "no such column")):
        return NOT_MIGRATED
    extended = int(getattr(cause, "sqlite_errorcode", 0))
    return _SQLITE.get(extended, _SQLITE.get(_primary(cause), FAULT))


def _of_postgres(error: DBAPIError, cause: BaseException) -> str:
    state = getattr(cause, "sqlstate", None)
    if state is None:  # psycopg itself: the server could not be reached, or went away
        return UNAVAILABLE if isinstance(error, OperationalError) else FAULT
    return _POSTGRES.get(state, UNAVAILABLE if state[:2] in _POSTGRES_CLASSES else FAULT)


def _primary(cause: BaseException) -> int:
    """SQLite's number without its extension; 0 for what Python, or PostgreSQL, raised."""
    return int(getattr(cause, "sqlite_errorcode", 0)) & 0xFF


def _is_refused_write(cause: BaseException) -> bool:
    numbers = getattr(cause, "sqlite_errorcode", 0), getattr(cause, "sqlstate", "")
    return numbers[0] == sqlite3.SQLITE_READONLY or numbers[1] == _READ_ONLY


def _said(cause: BaseException) -> str:
    """The first line: without the statement, and without a link to SQLAlchemy's site."""
    said = str(cause).strip()
    return said.splitlines()[0].strip() if said else type(cause).__name__
