"""What no queue here can beat: the disk, and a bare loop of the same statements without hive.

The statements are those that hive's store sent, with the parameters it sent, played through the
bare driver on a copy of the same database: so they do the same work, which is checked.
`python -m benchmarks.floor [--json] [--folder F]` measures the disk.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Engine, event, make_url, select

from benchmarks.rows import Row, show
from benchmarks.servers import database_of, of_libpq
from hive.store import postgres, sqlite
from hive.store.session import Database, open_database
from hive.store.tables import Base

Bare = sqlite3.Connection | psycopg.Connection
Params = Callable[[int], Any]
"""Of the n-th time round, what the driver is given."""
Cycle = Callable[[Database], int]
"""Claims and completes through hive; how many times it did."""

A_PAGE = b"\0" * 4096
A_WHILE = 1.0
OPEN = "benchmarks.floor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args()
    show(list(disk(asked.folder)), as_json=asked.json)


def disk(folder: Path) -> Iterator[Row]:
    """How often a second the disk under `folder` takes 4 KiB for good."""
    ways = {
        "disk fsync": (os.fsync, False),
        "disk fdatasync": (_fdatasync, False),
        "disk fdatasync in place": (_fdatasync, True),
    }
    for measure, (sync, in_place) in ways.items():
        with tempfile.TemporaryFile(dir=folder) as file:
            rate = _synced(file.fileno(), sync, in_place=in_place)
        yield Row(measure, "disk", round(rate, 1), "/s")


def _synced(file: int, sync: Callable[[int], None], *, in_place: bool) -> float:
    """Appending, as a log that grows does; or in place, as one that was made full length."""
    os.pwrite(file, A_PAGE, 0)
    os.fsync(file)
    count, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < A_WHILE:
        count += 1
        os.pwrite(file, A_PAGE, 0 if in_place else count * len(A_PAGE))
        sync(file)
    return count / passed


def _fdatasync(file: int) -> None:
    getattr(os, "fdatasync", os.fsync)(file)  # macOS has none


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    params: Params
    many: bool = False  #: the parameters are a list, for `executemany`


@dataclass(frozen=True, slots=True)
class Given:
    """The same parameters each time: those that were recorded."""

    params: object

    def __call__(self, _: int) -> object:
        return self.params


@dataclass(slots=True)
class Transaction:
    mode: str = "write"  #: one of `hive.store.session.MODES`
    statements: list[Statement] = field(default_factory=list)
    kept: bool = True  #: committed, or else rolled back


def bare_loop(connection: Bare, transactions: Sequence[Transaction], count: int) -> float:
    """How often a second all of `transactions` are done, `count` times."""
    begin = _begin_sqlite if isinstance(connection, sqlite3.Connection) else _begin_postgres
    mode = ""
    begun = time.perf_counter()
    for turn in range(count):
        for transaction in transactions:
            begin(connection, transaction.mode, transaction.mode != mode)
            mode = transaction.mode
            for statement in transaction.statements:
                _send(connection, statement, turn)
            (connection.commit if transaction.kept else connection.rollback)()
    return count / (time.perf_counter() - begun)


def _send(connection: Bare, statement: Statement, turn: int) -> None:
    cursor = connection.cursor()
    params = statement.params(turn)
    if statement.many:
        cursor.executemany(statement.sql, params)
    else:
        cursor.execute(statement.sql, params)
    if cursor.description is not None:
        cursor.fetchall()
    cursor.close()


def _begin_sqlite(connection: Bare, mode: str, is_new: bool) -> None:
    """Bare is to set the pragmas where they change; hive sets them every time."""
    *pragmas, begin = sqlite.BEGIN[mode]
    for pragma in pragmas if is_new else ():
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(begin)


def _begin_postgres(connection: Bare, mode: str, is_new: bool) -> None:
    """The driver begins by itself, with the first statement."""
    if is_new and isinstance(connection, psycopg.Connection):
        connection.read_only = mode == "read"


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Transaction]]:
    """What is sent through `engine`, in whichever mode, in the order in which it was begun.

    Made for one thread: of two at once the transactions would be played one after the other.
    """
    seen: list[Transaction] = []

    def begin(connection: Connection) -> None:
        """Called by ourselves too: what hive sends to begin with may be sent before we are told."""
        if OPEN not in connection.info:
            mode = connection.get_execution_options().get("mode", "write")
            seen.append(Transaction(mode))
            connection.info[OPEN] = seen[-1]

    def send(connection: Connection, *sent: object) -> None:
        _, sql, params, _, many = cast(tuple[object, str, object, object, bool], sent)
        if connection.dialect.name == "sqlite" and sql.startswith("BEGIN"):
            return  # the mode says it
        begin(connection)
        connection.info[OPEN].statements.append(Statement(sql, Given(params), many))

    def roll_back(connection: Connection) -> None:
        connection.info.pop(OPEN).kept = False

    def commit(connection: Connection) -> None:
        connection.info.pop(OPEN)

    listeners: dict[str, Callable[..., None]] = {
        "begin": begin,
        "before_cursor_execute": send,
        "rollback": roll_back,
        "commit": commit,
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


@dataclass(frozen=True, slots=True)
class Beside:
    """Cycles a second through hive and bare, and what a cycle sends."""

    hive: float
    bare: float
    transactions: float
    statements: float

    def rows(self, measure: str) -> Iterator[Row]:
        yield Row(measure, "hive", round(self.hive, 1), "/s")
        yield Row(measure, "bare", round(self.bare, 1), "/s")
        yield Row(f"{measure} hive/bare", "hive", round(self.hive / self.bare, 2), "ratio")


def beside(url: str, cycle: Cycle, *, rounds: int = 3) -> Beside:
    """The medians of `cycle` on copies of the database at `url`, and of its statements bare.

    Nobody may be connected to it meanwhile; `cycle` is called once for each copy, and should do so
    many that the first compiling of its statements does not count.
    """
    ours, theirs = [], []
    with copy_of(url) as original:
        transactions, count, left = _record(original, cycle)
    for _ in range(rounds):
        with copy_of(url) as copy:
            ours.append(_through_hive(copy, cycle))
        with copy_of(url) as copy:
            theirs.append(count * _through_the_driver(copy, transactions))
            if differing := [table for table, rows in _rows(copy).items() if rows != left[table]]:
                raise SystemExit(f"the bare loop left other rows than hive in {differing}")
    statements = sum(len(transaction.statements) for transaction in transactions)
    return Beside(
        statistics.median(ours),
        statistics.median(theirs),
        len(transactions) / count,
        statements / count,
    )


@contextmanager
def copy_of(url: str) -> Iterator[str]:
    """The URL of a copy of the database, gone at the end."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        with database_of(url, like=f"{parsed.database}") as copy:
            yield copy
        return
    file = Path(f"{parsed.database}")
    with tempfile.TemporaryDirectory(prefix=f"{file.name}-", dir=file.parent) as folder:
        target = Path(folder) / file.name
        with closing(sqlite3.connect(file)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there)
        yield f"sqlite:///{target}"


def ceiling(url: str, cycle: Cycle, hands: int) -> float:
    """Cycles a second of `hands` bare connections at once, each to a copy of its own.

    No lock is shared and no job is looked for: a worker that does these statements cannot be above.
    """
    with copy_of(url) as original:
        transactions, count, _ = _record(original, cycle)
    with ExitStack() as stack, ThreadPoolExecutor(hands) as pool:
        copies = [stack.enter_context(copy_of(url)) for _ in range(hands)]
        begun = time.perf_counter()
        list(pool.map(lambda copy: _through_the_driver(copy, transactions), copies))
        return hands * count / (time.perf_counter() - begun)


def _record(url: str, cycle: Cycle) -> tuple[list[Transaction], int, dict[str, list[str]]]:
    with _opened(url) as database, recorded(database.engine) as transactions:
        count = cycle(database)
    if not count:
        raise SystemExit("the cycle did nothing")
    return transactions, count, _rows(url)


def _through_hive(url: str, cycle: Cycle) -> float:
    with _opened(url) as database:
        begun = time.perf_counter()
        return cycle(database) / (time.perf_counter() - begun)


def _through_the_driver(url: str, transactions: Sequence[Transaction]) -> float:
    with closing(_connected(url)) as connection:
        return bare_loop(connection, transactions, 1)


def _connected(url: str) -> Bare:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return psycopg.connect(of_libpq(url), options=postgres.DEADLINE)
    connection = sqlite3.connect(f"{parsed.database}", sqlite.LOCKED_FOR_AT_MOST)
    connection.isolation_level = None
    sqlite.use_wal(connection)
    return connection


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    """Connected already."""
    database = open_database(url)
    try:
        with database.read() as session:
            session.execute(select(1))
        yield database
    finally:
        database.dispose()


def _rows(url: str) -> dict[str, list[str]]:
    """All that is in the tables, in an order that does not depend on where it lies."""
    with _opened(url) as database, database.read() as session:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted(map(repr, session.execute(select(table)))) for table in tables}


if __name__ == "__main__":
    main()
