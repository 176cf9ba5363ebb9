"""The door to the database: one transaction at a time, and no driver's exception leaves it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import URL, Connection, Engine, NestedTransaction, Table, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from hive.domain.event import NewEvent
from hive.domain.message import NewMessage
from hive.errors import Refused
from hive.store import postgres, prepared, sqlite
from hive.store.prepared import Asked, Bound, Found, Prepared
from hive.store.trouble import ours
from hive.store.writers import Apart, Writers

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

MODES: Final[Mapping[str, Mapping[str, object]]] = {
    "write": {},
    "progress": {},
    "migrate": {},
    "read": {"postgresql_readonly": True},
}


class Session:
    """One transaction, in which statements of SQLAlchemy's core are run.

    The ORM's session maps objects; hive's rows are values, and it would cost as much as the
    statements themselves.
    """

    __slots__ = (
        "_connection",
        "before_commit",
        "events",
        "execute",
        "messages",
        "scalar",
        "scalars",
        "with_commit",
    )

    def __init__(self, connection: Connection, with_commit: list[Asked] | None = None) -> None:
        self._connection = connection
        self.execute = connection.execute
        self.scalar = connection.scalar
        self.scalars = connection.scalars
        self.before_commit: list[Callable[[Session], None]] = []
        """What is done last in a transaction that writes."""
        self.with_commit = [] if with_commit is None else with_commit
        """What is sent behind that, in one go with the commit where the driver can."""
        self.events: list[NewEvent] = []
        """What has happened in it."""
        self.messages: list[tuple[datetime, NewMessage]] = []
        """What it leaves in inboxes, and when that was so."""

    @property
    def dialect(self) -> str:
        return self._connection.dialect.name

    def run(self, statement: Prepared, bound: Bound) -> Found:
        """The rows that it gives back."""
        (found,) = prepared.send(self._connection, (statement, bound))
        return found

    def run_all(self, *asked: Asked) -> list[Found]:
        """The rows of each, one behind the other, without a word from the database in between."""
        return prepared.send(self._connection, *asked)

    def begin_nested(self) -> NestedTransaction:
        return self._connection.begin_nested()


@dataclass(frozen=True, slots=True)
class Database:
    """One database, and the pool of connections to it. Made by `open_database`."""

    engine: Engine
    modes: Mapping[str, Engine]
    writers: Writers | Apart
    """Whom of this process a writer shares its commit with: on SQLite those that wait for it."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def path(self) -> Path | None:
        """The file, on SQLite."""
        return Path(f"{self.engine.url.database}") if self.dialect == "sqlite" else None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction; after it, what was written is on the disk."""
        with self.door("write"), self.writers.part("write") as part:
            session = Session(part.connection, part.with_commit)
            yield session
            for act in session.before_commit:
                act(session)

    @contextmanager
    def trial(self) -> Iterator[Session]:
        """As `write`, but nothing of it stays: to see what it would change."""
        with suppress(_Undone), self.write() as session:
            yield session
            raise _Undone

    @contextmanager
    def progress(self) -> Iterator[Session]:
        """One transaction that a power cut, but no kill, may undo: for steps and log lines."""
        with self.door("progress"), self.writers.part("progress") as part:
            yield Session(part.connection, part.with_commit)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One view of the database, which holds up no writer and writes nothing."""
        with self.door("read") as engine, engine.connect() as connection:
            yield Session(connection)

    @property
    def has_lines(self) -> bool:
        """Whether a `Line` goes there."""
        return self.dialect == prepared.PIPES

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """One transaction that changes tables: no deadline, and no cascade from a rebuilt one."""
        with self.door("migrate") as engine, engine.begin() as connection:
            yield connection

    def changes(self) -> Changes | None:
        """Whether anybody writes, for next to nothing; None where only a server could tell."""
        return Changes(self) if self.dialect == "sqlite" else None

    def dispose(self) -> None:
        """Close every connection. The next use opens new ones."""
        self.engine.dispose()

    @contextmanager
    def door(self, mode: str) -> Iterator[Engine]:
        """What connects in this mode; no driver's exception leaves the block."""
        try:
            yield self.modes[mode]
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise ours(error, self.engine.url, reading=mode == "read") from error


class _Undone(Exception):
    pass


class Changes:
    """One connection of its own, which is asked whether others have committed since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._version: int | None = None
        self._connection: Connection | None = None

    def seen(self) -> bool:
        """True where something was committed since the last time, and the first time."""
        with self._database.door("read") as engine:
            if self._connection is None:
                self._connection = engine.connect()
            before = self._version
            self._version = sqlite.data_version(self._connection)
        return self._version != before


def open_database(url: str) -> Database:
    """The database at `url`. Nothing is made, read or connected to before the first use."""
    parsed = _parsed(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    engine = sqlite.engine_of(_absolute(parsed)) if is_sqlite else postgres.engine_of(parsed)
    modes = {mode: engine.execution_options(mode=mode, **also) for mode, also in MODES.items()}
    return Database(engine, modes, Writers(modes) if is_sqlite else Apart(modes))


def now(session: Session) -> datetime:
    """What time it is for the database, on PostgreSQL."""
    found: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)


def dialect_of(session: Session) -> str:
    return session.dialect


def guarded(session: Session) -> AbstractContextManager[object]:
    """What a constraint refuses inside undoes only what is inside: SQLite does so by itself."""
    return nullcontext() if dialect_of(session) == "sqlite" else session.begin_nested()


def insert_into(session: Session, table: Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the words of the session's database."""
    return insert_of(dialect_of(session), table)


def insert_of(dialect: str, table: Table) -> postgresql.Insert:
    """As `insert_into`, for a statement that is made once."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite as sqlite_dialect

        return cast("postgresql.Insert", sqlite_dialect.insert(table))  # the same methods
    from sqlalchemy.dialects.postgresql import insert  # imported when needed: it is large

    return insert(table)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(re.sub("^postgres:", "postgresql:", url))
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise _bad("it is not a URL") from None  # the cause may quote a password
    if backend not in ("sqlite", "postgresql"):
        raise _bad(f"hive does not speak {backend}")
    if "@" in (parsed.host or ""):
        raise _bad("a '@' in a password is written %40")
    return parsed


def _absolute(url: URL) -> URL:
    """The file, wherever the process goes later."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise _bad("SQLite needs a file")
    return url.set(database=str(Path(url.database).expanduser().absolute()))


def _bad(because: str) -> Refused:
    return Refused(
        f"HIVE_DATABASE_URL cannot be used: {because}",
        code="bad-database-url",
        hint="sqlite:////var/lib/hyperhive/hive.sqlite or postgresql://user:password@host/hive",
    )
