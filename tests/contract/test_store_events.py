"""What happened, told in one sequence, with the moves that it tells."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from hive.domain.event import Event, NewEvent
from hive.domain.job import (
    CANCEL,
    END_CANCELLED,
    FAIL,
    FINISH,
    GIVE_BACK,
    MOVES,
    RESTORE,
    JobId,
    Move,
    Trouble,
)
from hive.domain.names import NodeName
from hive.errors import IllegalMove, Refused
from hive.store import events, jobs, moves, verdicts
from hive.store.session import Database, Session
from tests.contract.store_samples import (
    ALICE,
    BOB,
    BOBS_LOCK,
    LATER,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    at_once,
    claimed,
    is_one_blocked,
    new_job,
)

TROUBLE = Trouble("not-ready", "nobody answers")
TURNS = 6
WRITERS = 8


def told(database: Database, after: int = 0, limit: int = 1000) -> list[Event]:
    with database.read() as session:
        return events.behind(session, after, limit=limit)


def kinds(found: list[Event], job: JobId | None = None) -> list[str]:
    return [event.kind for event in found if job is None or event.job_id == job]


def an_event(kind: str = "node.paused") -> NewEvent:
    return NewEvent(NOW, kind, NODE)


def test_what_happens_to_a_job_is_told_move_by_move(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    with database.write() as session:
        running = claimed(session)
        assert running is not None
    with database.write() as session:
        moves.park(session, running, shown={}, now=LATER)
    with database.write() as session:
        verdicts.approve(session, job.id, by="uid:0", seen={}, now=LATER)
        assert claimed(session) is not None
        moves.make(session, job.id, FINISH, now=LATER, attempt=2)

    found = told(database)
    assert kinds(found) == [
        "job.submit", "job.claim", "job.park", "job.approve", "job.claim", "job.finish",
    ]  # fmt: skip
    assert found[0] == Event(
        seq=found[0].seq,
        at=NOW,
        kind="job.submit",
        node=NODE,
        job_id=job.id,
        agent=ALICE,
        data={"state": "queued", "attempt": 0, "kind": "spawn", "by": "uid:0"},
    )
    assert [(event.data["state"], event.data["attempt"]) for event in found[1:]] == [
        ("running", 1), ("waiting", 1), ("queued", 1), ("running", 2), ("succeeded", 2),
    ]  # fmt: skip
    assert found[2].at == LATER
    assert found[2].at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("move", MOVES, ids=[move.name for move in MOVES])
def test_each_move_is_one_event(database: Database, move: Move) -> None:
    with database.write() as session:
        job = a_job(session)
        start = sorted(move.start)[0]
        session.execute(text("UPDATE jobs SET state = :state"), {"state": start})
    before = told(database)[-1].seq
    with database.write() as session:
        moves.make(session, job.id, move, now=LATER)
    (event,) = told(database, before)
    assert event.kind == f"job.{move.name.replace(' ', '-')}"
    assert (event.job_id, event.data["state"]) == (job.id, move.end)


def test_an_event_says_what_went_wrong(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        noted = {"restoring": True, "error": TROUBLE}
        moves.make(session, job.id, RESTORE, now=NOW, attempt=1, **noted)
        moves.make(session, job.id, FAIL, now=NOW, attempt=1)
        moves.retry(session, job.id, now=NOW)
    errors = [event.data.get("error") for event in told(database)]
    assert errors == [None, None, "not-ready", "not-ready", None]


def test_a_cancel_is_told_when_it_is_asked_and_when_it_is_so(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        verdicts.cancel(session, job.id, now=NOW)
        moves.make(session, job.id, END_CANCELLED, now=LATER, attempt=1)
    assert kinds(told(database))[2:] == ["job.cancel-requested", "job.end-cancelled"]
    assert told(database)[2].data["state"] == "running"


def test_a_move_and_its_event_are_seen_together(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        with database.read() as other:
            assert (jobs.listed(other), events.behind(other)) == ([], [])
    with database.read() as session:
        assert jobs.listed(session) == [job]
        assert kinds(events.behind(session)) == ["job.submit", "job.claim"]


def test_what_was_rolled_back_tells_nothing(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
    with pytest.raises(KeyboardInterrupt), database.write() as session:
        moves.make(session, job.id, FINISH, now=LATER, attempt=1)
        a_job(session)
        raise KeyboardInterrupt
    assert kinds(told(database)) == ["job.submit", "job.claim"]


def test_what_nobody_did_tells_nothing(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, unique_key="spawn alice")
        moves.make(session, first.id, CANCEL, now=NOW)
        job = a_running_job(session, unique_key="spawn alice")
        jobs.submit(session, new_job(unique_key="spawn alice"), now=NOW)
        assert claimed(session) is None
        with pytest.raises(IllegalMove):
            moves.make(session, job.id, FINISH, now=LATER, attempt=7)
        with pytest.raises(Refused):
            moves.retry(session, first.id, now=LATER)
    assert kinds(told(database)) == ["job.submit", "job.cancel", "job.submit", "job.claim"]


def test_events_are_found_by_what_they_are_of(database: Database) -> None:
    far = NodeName("elsewhere")
    with database.write() as session:
        alices = a_job(session)
        bobs = a_job(session, agent=BOB, lock=BOBS_LOCK, node=far)
        events.tell(session, an_event())
        assert claimed(session) is not None
    with database.read() as session:
        assert kinds(events.behind(session, kind="node.paused")) == ["node.paused"]
        assert kinds(events.behind(session, job=alices.id)) == ["job.submit", "job.claim"]
        assert [event.job_id for event in events.behind(session, agent=BOB)] == [bobs.id]
        assert [event.job_id for event in events.behind(session, node=far)] == [bobs.id]
        assert events.behind(session, node=far, agent=ALICE) == []


def test_who_reads_behind_a_number_goes_on_from_there(database: Database) -> None:
    with database.read() as session:
        assert events.last(session) == 0
    with database.write() as session:
        for number in range(5):
            events.tell(session, an_event(f"test.{number}"))
    first = told(database, limit=2)
    rest = told(database, first[-1].seq)
    assert kinds(first + rest) == [f"test.{number}" for number in range(5)]
    with database.read() as session:
        assert events.last(session) == rest[-1].seq
    assert told(database, rest[-1].seq) == []


@pytest.mark.parametrize("said", ['it\'s 100 %s: "\\\N{HONEYBEE}"', 0.25, None, [1, {"a": "b"}]])
def test_an_event_reads_back_as_it_was_told(database: Database, said: object) -> None:
    event = NewEvent(NOW, "test.said", NODE, data={"said": said, ":name": "%(said)s"})
    with database.write() as session:
        events.tell(session, event)
        events.tell(session, replace(event, at=LATER, agent=ALICE, job_id=JobId(4711)))
    first, second = told(database)
    assert (first.at, first.data, first.job_id, first.agent) == (NOW, event.data, None, None)
    assert (second.at, second.data, second.job_id, second.agent) == (
        LATER, event.data, 4711, ALICE,
    )  # fmt: skip


def test_what_no_text_of_a_database_holds_is_told_all_the_same(database: Database) -> None:
    """Else the move could not be made that is told."""
    raw = b"caf\xe9 \0".decode("utf-8", "surrogateescape")
    with database.write() as session:
        events.tell(session, NewEvent(NOW, "test.said", NODE, data={"said": raw}))
    assert [event.data["said"] for event in told(database)] == [raw]


def test_events_are_pruned_oldest_first_and_some_at_a_time(database: Database) -> None:
    with database.write() as session:
        for number in range(5):
            events.tell(session, NewEvent(NOW + timedelta(days=number), f"test.{number}", NODE))
    before = NOW + timedelta(days=3)
    with database.write() as session:
        assert events.prune(session, before=before, limit=2) == 2
        assert events.prune(session, before=before, limit=2) == 1
        assert events.prune(session, before=before, limit=2) == 0
    assert kinds(told(database)) == ["test.3", "test.4"]


def test_a_number_is_never_given_twice(database: Database) -> None:
    """Who has read so far would miss what comes under a number that was seen before."""
    with database.write() as session:
        events.tell(session, an_event())
    last = told(database)[-1].seq
    with database.write() as session:
        assert events.prune(session, before=LATER, limit=9) == 1
    with database.write() as session:
        events.tell(session, an_event())
    assert told(database)[-1].seq > last


@ON_POSTGRES
def test_no_event_is_seen_before_one_with_a_lower_number(database: Database) -> None:
    seen: list[Future[list[Event]]] = []

    def tell_another_and_read() -> list[Event]:
        with database.write() as session:
            events.tell(session, an_event("test.second"))
        return told(database)

    with ThreadPoolExecutor(1) as thread:

        def hold(session: Session) -> None:
            """Behind the numbering, which else goes out with the commit, and before that."""
            session.run(*session.with_commit.pop())
            seen.append(thread.submit(tell_another_and_read))
            while not (seen[0].done() or is_one_blocked(database)):
                pass

        with database.write() as session:
            events.tell(session, an_event("test.first"))
            session.before_commit.append(hold)
        assert kinds(seen[0].result()) == ["test.first", "test.second"]


def test_who_reads_while_many_write_misses_nothing(database: Database) -> None:
    done: list[int] = []

    def write(number: int) -> None:
        with database.write() as session:
            job = a_job(session, lock=f"agent:here/{number}")
        for _ in range(TURNS):
            with database.write() as session:
                running = claimed(session, job.lock)
                assert running is not None
            with database.write() as session:
                events.tell(session, an_event())
                moves.make(session, job.id, GIVE_BACK, now=NOW, attempt=running.attempt)

    def read() -> list[Event]:
        pages: list[Event] = []
        while True:
            is_over = len(done) == WRITERS
            page = told(database, pages[-1].seq if pages else 0, limit=3)
            if is_over and not page:
                return pages
            pages.extend(page)

    def act(number: int) -> list[Event]:
        if number == WRITERS:
            return read()
        try:
            write(number)
        finally:
            done.append(number)
        return []

    read_meanwhile = at_once(WRITERS + 1, act)[-1]
    assert read_meanwhile == told(database)
    by_job = {event.job_id for event in read_meanwhile} - {None}
    assert len(by_job) == WRITERS
    for job in by_job:
        assert kinds(read_meanwhile, job) == ["job.submit", *["job.claim", "job.give-back"] * TURNS]
        attempts = [event.data["attempt"] for event in read_meanwhile if event.job_id == job]
        assert attempts == sorted(attempts)
