"""SQLite's part: a private file in WAL mode, and how its transactions begin."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event

from hive.errors import Refused
from hive.store.trouble import HINTS, NOT_WRITABLE

LOCKED_FOR_AT_MOST: Final = 30.0  #: seconds: `busy_timeout`

#: Writers take the lock at once: a deferred one that upgrades is refused without waiting.
#: Each mode says all of its pragmas, as the connections are shared by all modes; a connection
#: keeps them, so they are said where the mode changes.
MODE: Final = "hive.mode"
BEGIN: Final = {
    "write": ("synchronous=FULL", "foreign_keys=ON", "query_only=OFF", "BEGIN IMMEDIATE"),
    "progress": ("synchronous=NORMAL", "foreign_keys=ON", "query_only=OFF", "BEGIN IMMEDIATE"),
    "migrate": ("synchronous=FULL", "foreign_keys=OFF", "query_only=OFF", "BEGIN IMMEDIATE"),
    "read": ("query_only=ON", "BEGIN DEFERRED"),
}


def engine_of(url: URL) -> Engine:
    """An engine that makes its file when it first connects, and not before."""
    engine = create_engine(url, connect_args={"timeout": LOCKED_FOR_AT_MOST}, hide_parameters=True)
    path = Path(f"{url.database}")

    @event.listens_for(engine, "do_connect")
    def _make(*_: object) -> None:
        make_private(path)

    @event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # or the driver begins by itself, deferred
        connection.execute("PRAGMA temp_store=MEMORY")  # or a statement may make a file of its own
        with _alone_in(path.parent):
            use_wal(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("mode", "write")
        *pragmas, begin = BEGIN[mode]
        if connection.info.get(MODE) != mode:
            for pragma in pragmas:
                _raw(connection).execute(f"PRAGMA {pragma}")
            connection.info[MODE] = mode
        _raw(connection).execute(begin)

    return engine


def data_version(connection: Connection) -> int:
    """Another number whenever another connection has committed. It takes 5 µs."""
    return int(_raw(connection).execute("PRAGMA data_version").fetchone()[0])


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def make_private(path: Path) -> None:
    """The file exists, 0600, in a folder that exists.

    It is made beside and linked: closing a descriptor of the file itself would drop the locks
    that other connections of this process hold on it.
    """
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(path.parent):
            _link_new(path, path.with_name(f".{path.name}.new"))
    except OSError as error:
        raise _not_writable(path, error) from error


def _link_new(path: Path, beside: Path) -> None:
    """Alone in the folder: what is beside is of someone who was killed."""
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink()


def use_wal(connection: sqlite3.Connection) -> None:
    """The journal is a WAL. It stays one, so only the first connection of all writes anything."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other process changes the journal's mode now.

    The change does not wait for `busy_timeout`: of six processes that open one new file at once,
    one in twenty-five says "database is locked".
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _not_writable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"cannot write {path}: {error.strerror}",
        code=NOT_WRITABLE,
        hint=HINTS[NOT_WRITABLE],
    )
