"""What goes by libpq's own calls: what psycopg would have done with it, whatever comes between."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Integer, column, text

from hive.domain.event import NewEvent
from hive.errors import Fault, Transient
from hive.store import events, jobs
from hive.store.line import Line
from hive.store.pipe import Pipe
from hive.store.postgres import IDLE
from hive.store.prepared import Prepared
from hive.store.session import Database
from tests.contract.store_samples import NODE, NOW, ON_POSTGRES, a_job

pytestmark = ON_POSTGRES

ECHO = b"SELECT $1::text, $2::int, $3::timestamptz, $4::bool, $5::json, $6::text"
TWICE = b"SELECT $1::int * 2"
ADD = b"INSERT INTO nodes (name) VALUES ($1::text)"
COUNT = b"SELECT count(*)::int FROM nodes"
SLEEP = Prepared(text("SELECT pg_sleep(9)"))
ASLEEP = text(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
)
LARGE = "ü" * 4_000_000
"""More than a socket holds, both ways."""


@pytest.fixture
def driver(database: Database) -> Iterator[Any]:
    with database.engine.connect() as connection:
        yield connection.connection.driver_connection


def test_values_go_there_and_come_back(driver: Any) -> None:  # noqa: ANN401
    given = ("ü\n'$1' %s", -5, NOW, True, '{"a": [1, null]}', None)
    ((row,),) = Pipe(driver).send((ECHO, given))
    assert row == (*given[:4], {"a": [1, None]}, None)


def test_each_has_rows_of_its_own_in_one_transaction(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    none = (b"SELECT 1 WHERE false", ())
    assert pipe.send((TWICE, (1,)), none, (TWICE, (2,))) == [[(2,)], [], [(4,)]]
    assert driver.info.transaction_status.name == "INTRANS"
    assert pipe.send((TWICE, (3,)), commits=True) == [[(6,)]]
    assert driver.info.transaction_status.name == "IDLE"


def test_more_than_a_socket_holds_goes_both_ways(driver: Any) -> None:  # noqa: ANN401
    same = (b"SELECT $1::text", (LARGE,))
    assert Pipe(driver).send(same, same, same) == [[(LARGE,)]] * 3


def test_what_failed_before_it_was_prepared_is_prepared_next_time(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    with pytest.raises(psycopg.errors.DivisionByZero):
        pipe.send((b"SELECT 1 / $1::int", (0,)), (TWICE, (1,)))
    driver.rollback()
    assert pipe.send((TWICE, (1,))) == [[(2,)]]


def test_what_is_no_statement_is_told_and_nothing_hangs(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    for _ in range(2):
        with pytest.raises(psycopg.errors.SyntaxError):
            pipe.send((TWICE, (1,)), (b"SELEKT", ()))
        driver.rollback()
    assert pipe.send((TWICE, (2,))) == [[(4,)]]


def test_a_value_that_is_no_text_is_refused_before_anything_is_sent(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    with pytest.raises(psycopg.DataError, match="NUL"):
        pipe.send((TWICE, (1,)), (b"SELECT $1::text", ("a\0b",)))
    assert driver.info.transaction_status.name == "IDLE"
    assert pipe.send((TWICE, (1,))) == [[(2,)]]


def test_what_is_sent_alone_is_a_transaction_of_its_own(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    assert pipe.send_alone((ADD, ("a",)), (ADD, ("b",)), (COUNT, ())) == [[], [], [(2,)]]
    assert driver.info.transaction_status.name == "IDLE"
    driver.rollback()
    assert pipe.send((COUNT, ())) == [[(2,)]]


def test_nothing_is_sent_alone_while_a_transaction_is_open(driver: Any) -> None:  # noqa: ANN401
    """It would be told that it is so, and might be undone."""
    pipe = Pipe(driver)
    assert pipe.send((COUNT, ())) == [[(0,)]]
    with pytest.raises(psycopg.ProgrammingError, match="open"):
        pipe.send_alone((ADD, ("a",)))
    driver.rollback()
    assert pipe.send_alone((ADD, ("a",)), (COUNT, ())) == [[], [(1,)]]


def test_nothing_of_what_is_sent_alone_is_so_where_a_part_fails(driver: Any) -> None:  # noqa: ANN401
    pipe = Pipe(driver)
    with pytest.raises(psycopg.errors.UniqueViolation):
        pipe.send_alone((ADD, ("a",)), (ADD, ("a",)), (ADD, ("b",)))
    assert driver.info.transaction_status.name == "IDLE"
    assert pipe.send_alone((COUNT, ())) == [[(0,)]]


def test_a_commit_of_the_servers_own_that_fails_is_told(database: Database) -> None:
    """What is checked at the end only; the connection is given up, and the next one is well."""
    with database.migrate() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE schedule_fires ALTER CONSTRAINT fk_schedule_fires_schedule_schedules"
            " DEFERRABLE INITIALLY DEFERRED"
        )
    fires = Prepared(text("INSERT INTO schedule_fires VALUES (:name, :at, :at)").bindparams(at=NOW))
    with pytest.raises(Fault, match="schedule_fires"):
        Line(database).send((fires, {"name": "nobody", "at": NOW}))
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM schedule_fires")) == 0


def test_what_is_prepared_outlives_every_rollback(database: Database) -> None:
    """psycopg throws away what it has prepared, and all else with it, at each of them."""
    with database.write() as session:
        job = a_job(session)
    for _ in range(8):  # psycopg prepares what it has seen five times
        with database.read() as session:
            session.execute(text("SELECT count(*) FROM jobs WHERE lock = :lock"), {"lock": "x"})
            assert jobs.find(session, job.id) == job
        with database.trial() as session:
            events.tell(session, NewEvent(NOW, "test.undone", NODE))
    with database.read() as session:
        assert jobs.find(session, job.id) == job
        assert events.newest_of(session, NODE, job.agent or pytest.fail(), ["test.undone"]) is None


@pytest.mark.usefixtures("interruptible")
def test_who_waits_for_the_server_can_be_interrupted(database: Database) -> None:
    """The connection is given up: nobody is handed what it has half done."""
    killer = _once_asleep(database, lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), database.write() as session:
        a_job(session)
        killer.start()
        session.run(SLEEP, {})
    killer.join()
    with database.read() as session:
        assert jobs.live(session) == []


def test_a_server_that_goes_while_it_is_waited_for_is_told(database: Database) -> None:
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        killer = _once_asleep(database, lambda pid: _end(database, pid))
        killer.start()
        with pytest.raises(psycopg.OperationalError):
            Pipe(driver).send((b"SELECT pg_sleep(9)", ()))
        killer.join()
        assert driver.closed
        connection.invalidate()
    with database.write() as session:
        a_job(session)


def test_a_line_keeps_its_connection_and_gives_back_one_that_lay_idle(database: Database) -> None:
    pid = Prepared(text("SELECT pg_backend_pid()"), (column("pid", Integer),))
    with closing(Line(database)) as line:
        [[(first,)]] = line.send((pid, {}))
        with database.read() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) != first, "it is the line's"
        assert line.send((pid, {})) == [[(first,)]]
        _end(database, first)
        line._used -= 2 * IDLE
        [[(second,)]] = line.send((pid, {}))
        _end(database, second)
        with pytest.raises(Transient):
            line.send((pid, {}))
        [[(third,)]] = line.send((pid, {}))
    assert len({first, second, third}) == 3
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def _once_asleep(database: Database, act: Callable[[int], object]) -> threading.Thread:
    """It acts on the session that sleeps, when the server says that one does."""

    def acts() -> None:
        while True:
            with database.read() as session:
                pid = session.scalar(ASLEEP)
            if pid is not None:
                act(pid)
                return

    return threading.Thread(target=acts)


def _end(database: Database, pid: int) -> None:
    with database.write() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
