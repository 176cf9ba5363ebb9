"""The inbox: messages a second that are sent, received and acknowledged, also where many wait.

`python -m benchmarks.inbox [--json] [--messages N] [--waiting N] [--batch N] [--postgres]`
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, text

from benchmarks.floor import disk
from benchmarks.history import opened
from benchmarks.rows import Row, show
from benchmarks.servers import database_of, durable_postgres, kept_folder
from hive.domain.message import LEASE, OPERATOR, NewMessage
from hive.domain.names import NodeName
from hive.store import messages, telling
from hive.store.session import Database

NODE: Final = NodeName("bench")
TO: Final = "alice"
CAP: Final = 999_999
LINE: Final = "rebuild 4711 of alice failed: the build of the configuration says what is wrong"
FILL: Final = text(
    "INSERT INTO messages (node, recipient, sender, body, sent_at, deliveries)"
    " WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :waiting)"
    " SELECT :node, :to, 'hive', :line, :at, 0 FROM c"
).bindparams(bindparam("at", type_=messages.C.sent_at.type))
COUNT: Final = text("UPDATE inboxes SET open = open + :waiting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=100, help="taken, and acknowledged, at once")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own, too")
    asked = parser.parse_args()
    show(list(_measured(asked)), as_json=asked.json)


def _measured(asked: argparse.Namespace) -> Iterator[Row]:
    with kept_folder("bench") as (folder, _):
        yield from disk(folder)
        yield from _both(f"sqlite:///{folder}/inbox/hive.sqlite", asked)
    if asked.postgres:
        with durable_postgres() as server, database_of(server) as url:
            yield from _both(url, asked)


def _both(url: str, asked: argparse.Namespace) -> Iterator[Row]:
    """An inbox with nothing else in it, and then one where many wait."""
    with opened(url) as database:
        _send(database, 200)  # the first compiling of the statements does not count
        _ack(database, _receive(database, asked.batch), asked.batch)
        yield from _acts(database, database.dialect, asked.messages, asked.batch)
        _fill(database, asked.waiting)
        where = f"{database.dialect}, {asked.waiting:,} waiting"
        yield from _acts(database, where, asked.messages, asked.batch)


def _acts(database: Database, where: str, count: int, batch: int) -> Iterator[Row]:
    """Each message is sent in a transaction of its own; they are received and acked in batches."""
    found: list[int] = []

    def receive() -> None:
        found.extend(_receive(database, batch, count))

    acts: dict[str, Callable[[], object]] = {
        "send": lambda: _send(database, count),
        "receive": receive,
        "ack": lambda: _ack(database, found, batch),
    }
    total = 0.0
    for what, act in acts.items():
        took = _seconds(act)
        total += took
        yield Row(f"inbox {where}: {what}", "hive", round(count / took, 1), "/s")
    yield Row(f"inbox {where}: send + receive + ack", "hive", round(count / total, 1), "/s")
    one = _seconds(lambda: _one_by_one(database, count // 4))
    each = f"inbox {where}: the same one by one"
    yield Row(each, "hive", round(count // 4 / one, 1), "/s")


def _send(database: Database, count: int) -> None:
    new = NewMessage(TO, OPERATOR, LINE, NODE, "rebuilt", {"agent": TO, "ok": False})
    for _ in range(count):
        with database.write() as session:
            telling.send(session, new, now=datetime.now(UTC), cap=CAP)


def _receive(database: Database, batch: int, count: int = CAP) -> list[int]:
    """The numbers of what was taken, each batch in a transaction of its own."""
    found: list[int] = []
    while len(found) < count:
        some = _taken(database, min(batch, count - len(found)))
        if not some:
            break
        found += some
    return found


def _taken(database: Database, limit: int) -> list[int]:
    now = datetime.now(UTC)
    with database.write() as session:
        taken = messages.take(
            session, NODE, TO, reader="bench", now=now, leased_until=now + LEASE, limit=limit
        )
    return [message.seq for message in taken]


def _ack(database: Database, seqs: list[int], batch: int) -> None:
    for first in range(0, len(seqs), batch):
        with database.write() as session:
            messages.ack(session, seqs[first : first + batch], now=datetime.now(UTC))


def _one_by_one(database: Database, count: int) -> None:
    """Three transactions a message."""
    for _ in range(count):
        _send(database, 1)
        _ack(database, _taken(database, 1), 1)


def _fill(database: Database, waiting: int) -> None:
    bound = {"waiting": waiting, "node": NODE, "to": TO, "line": LINE, "at": datetime.now(UTC)}
    with database.write() as session:
        session.execute(FILL, bound)
        session.execute(COUNT, {"waiting": waiting})
    with database.migrate() as connection:  # as autovacuum would
        connection.execute(text("ANALYZE"))


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
