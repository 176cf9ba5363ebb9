"""Statements that go straight to the driver do what SQLAlchemy would have done with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from hive.domain.event import NewEvent
from hive.domain.job import Job, JobState, Trouble
from hive.errors import Fault, HiveError, Transient
from hive.store import events, jobs, prepared
from hive.store.prepared import Prepared
from hive.store.session import Database, Session
from hive.store.tables import NodeRow
from tests.contract.store_samples import (
    ALICE,
    EVEN_LATER,
    LATER,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    new_job,
)

NODES: Any = NodeRow.__table__
ADD_NODE = Prepared(insert(NODES).values(name=text(":name")))
NAMES = Prepared(select(NODES.c.name).order_by(NODES.c.name), (NODES.c.name,))
FILLED = {
    "state": JobState.WAITING, "error": Trouble("a-code", "so it is", "do this"),
    "result": {"ü": [1, None]}, "seen": {"rev": "a" * 40}, "worker": "w", "leased_until": LATER,
    "cancel_requested_at": NOW, "approved_at": LATER, "approved_by": "uid:0", "run_at": EVEN_LATER,
    "started_at": NOW, "finished_at": LATER, "restoring": True, "failures": 1, "losses": 2,
    "series": "s", "attempt": 3,
}  # fmt: skip


def names(session: Session) -> list[str]:
    return [name for (name,) in session.run(NAMES, {})]


@pytest.mark.parametrize("is_filled", [True, False])
def test_a_row_is_read_as_sqlalchemy_reads_it(database: Database, is_filled: bool) -> None:
    with database.write() as session:
        other = a_job(session, unique_key="another")
        job = a_job(session, unique_key="it", parent_id=other.id, at_once=1)
        if is_filled:
            values = {**FILLED, "superseded_by": other.id}
            values["error"] = {"code": "a-code", "message": "so it is", "hint": "do this"}
            session.execute(update(jobs.JOBS).where(jobs.C.id == job.id).values(**values))
    with database.read() as session:
        (read,) = jobs.some(session, [job.id])
        straight = jobs.find(session, job.id)
    assert straight == read
    if is_filled:
        said = {field.name: getattr(straight, field.name) for field in fields(Job)}
        assert {name: said[name] for name in FILLED if name in said} == {
            name: value for name, value in FILLED.items() if name in said
        }


def test_what_is_put_into_words_anew_each_time_is_refused(database: Database) -> None:
    anew = Prepared(select(NODES.c.name).where(NODES.c.name.in_(["a", "b"])), (NODES.c.name,))
    with database.read() as session, pytest.raises(ValueError, match="anew"):
        session.run(anew, {})


def test_a_reader_reads_in_one_transaction_and_writes_nothing(database: Database) -> None:
    with database.read() as session:
        assert names(session) == []
        with database.write() as writer:
            writer.run(ADD_NODE, {"name": "new"})
        if database.dialect == "sqlite":  # PostgreSQL's readers see what is committed meanwhile
            assert names(session) == []
    with pytest.raises(HiveError), database.read() as session:
        session.run(ADD_NODE, {"name": "never"})
    with database.read() as session:
        assert names(session) == ["new"]


def test_the_second_of_two_sees_what_the_first_has_done(database: Database) -> None:
    with database.write() as session:
        assert session.run_all((ADD_NODE, {"name": "a"}), (NAMES, {})) == [[], [("a",)]]


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_that_are_asked_for_together_one_that_fails_undoes_both(
    database: Database, is_first: bool
) -> None:
    with database.write() as session:
        session.run(ADD_NODE, {"name": "twice"})
    bad, good = (ADD_NODE, {"name": "twice"}), (ADD_NODE, {"name": "once"})
    with pytest.raises(Fault) as told, database.write() as session:
        session.run_all(*((bad, good) if is_first else (good, bad)))
    assert isinstance(told.value.__cause__, IntegrityError)
    with database.write() as session:
        assert names(session) == ["twice"]
        session.run(ADD_NODE, {"name": "once"})


def test_what_goes_out_with_the_commit_and_fails_undoes_all(database: Database) -> None:
    """It is sent in one go with the commit: that must not be done then."""
    nowhere: Any = None
    with pytest.raises(HiveError), database.write() as session:
        a_job(session)
        events.tell(session, NewEvent(NOW, "test.bad", nowhere))
    with database.write() as session:
        assert jobs.live(session) == []
        assert events.last(session) == 0
        a_job(session)


@contextmanager
def when_sent(database: Database, act: Callable[[Any], object]) -> Any:  # noqa: ANN401
    def sent(connection: object, cursor: object, sql: str, *_: object) -> None:
        if sql.startswith("INSERT INTO nodes"):
            act(connection)

    event.listen(database.engine, "before_cursor_execute", sent)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", sent)


def test_an_interrupt_undoes_what_was_sent_and_leaves_no_connection_behind(
    database: Database,
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with (
        when_sent(database, interrupt),
        suppress(KeyboardInterrupt),
        database.write() as session,
    ):
        a_job(session)
        session.run(ADD_NODE, {"name": "never"})
        pytest.fail("it was not interrupted")
    with database.write() as session:
        assert (names(session), jobs.live(session)) == ([], [])


@ON_POSTGRES
def test_a_server_that_goes_away_meanwhile_is_told_as_such(database: Database) -> None:
    def end(connection: Any) -> None:  # noqa: ANN401
        pid = connection.connection.driver_connection.info.backend_pid
        with database.write() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    with (
        when_sent(database, end),
        pytest.raises(Transient) as told,
        database.write() as session,
    ):
        a_job(session)
        session.run_all((ADD_NODE, {"name": "never"}), (NAMES, {}))
    assert told.value.code == "database-unavailable"
    with database.write() as session:
        assert (names(session), jobs.live(session)) == ([], [])


@ON_POSTGRES
@pytest.mark.parametrize("by_us", [True, False])
def test_a_connection_that_hangs_in_a_pipeline_is_given_up(
    database: Database, caplog: pytest.LogCaptureFixture, by_us: bool
) -> None:
    """As where its session was ended in one. Nobody is handed it, and no traceback tells of it."""
    with pytest.raises(Transient) as told, database.write() as session:
        driver: Any = session._connection.connection.driver_connection
        session.run(NAMES, {})
        driver.pgconn.enter_pipeline_mode()
        if by_us:
            session.run(NAMES, {})
        with prepared._guarded(session._connection):  # as where SQLAlchemy's commit fails
            raise OperationalError("COMMIT", {}, psycopg.OperationalError("terminated"))
    assert told.value.code == "database-unavailable"
    assert [record for record in caplog.records if record.exc_info] == []
    with database.write() as session:
        session.run(ADD_NODE, {"name": "it"})
        assert names(session) == ["it"]


def test_an_error_of_ours_is_none_of_the_drivers(database: Database) -> None:
    """What no database could take is a fault of who asked, and ends nobody's connection."""
    with pytest.raises((HiveError, StatementError, ValueError)), database.write() as session:
        a_job(session)
        jobs.submit(session, new_job(run_at=NOW.replace(tzinfo=None)), now=NOW)
    with database.write() as session:
        assert jobs.live_of(session, NODE, ALICE) == []
