"""A job's end and the claim of the next one: by a transaction, and in one word."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import event, update

from hive.domain.job import FINISH, PARK, Job, JobState
from hive.domain.notice import TOPICS
from hive.errors import HiveError, IllegalMove
from hive.store import events, jobs, moves, turns, workers
from hive.store.line import Line
from hive.store.session import Database
from hive.store.turns import Turn, Turned
from tests.contract.store_samples import (
    ALICE,
    BOB,
    BOBS_LOCK,
    LATER,
    LEASE,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    claimed,
    found,
    instant,
    is_one_blocked,
)

QUIET = "reconcile"  #: a kind of which nobody is told
AFTER = NOW + timedelta(microseconds=1)


class Way(StrEnum):
    TRANSACTION = "transaction"
    WORD = "word"


EVERY_WAY = pytest.mark.parametrize(
    ("database_url", "way"),
    [("sqlite", Way.TRANSACTION), ("postgres", Way.TRANSACTION), ("postgres", Way.WORD)],
    indirect=["database_url"],
)


def over(database: Database, way: Way, *jobs: Job) -> list[Turned | None]:
    given = [Turn(job, {"result": {"of": job.id}}) for job in jobs]
    if way is Way.WORD:
        with closing(Line(database)) as line:
            return turns.turn_over_at_once(
                line, given, worker="w1", now=AFTER, leased_until=AFTER + LEASE
            )
    with database.write() as session:
        made = turns.turn_over(session, given, worker="w1", now=AFTER, leased_until=AFTER + LEASE)
    return list(made)


def a_pair(database: Database, **also: object) -> tuple[Job, Job]:
    """One that runs, and one that waits for its lock."""
    said: dict[str, Any] = {"kind": QUIET, **also}
    with database.write() as session:
        return a_running_job(session, **said), a_job(session, **said)


def told(database: Database) -> list[tuple[str, int | None, Any]]:
    with database.read() as session:
        return [(one.kind, one.job_id, one.data) for one in events.behind(session)]


def following(turned: list[Turned | None]) -> list[Job | None]:
    """Of turns that were made."""
    assert None not in turned
    return [one.following for one in turned if one is not None]


@EVERY_WAY
def test_a_job_ends_and_the_next_of_its_lock_is_claimed(database: Database, way: Way) -> None:
    first, second = a_pair(database)
    before = told(database)
    (claimed,) = following(over(database, way, first))
    ended = found(database, first.id)
    assert (ended.state, ended.result, ended.worker) == (JobState.SUCCEEDED, {"of": first.id}, None)
    assert (ended.finished_at, instant(database, ended.id, "leased_until")) == (AFTER, None)
    assert claimed == found(database, second.id)
    assert (claimed.state, claimed.attempt, claimed.worker) == (JobState.RUNNING, 1, "w1")
    assert (claimed.started_at, instant(database, claimed.id, "leased_until")) == (
        AFTER,
        AFTER + LEASE,
    )
    assert told(database)[len(before) :] == [
        ("job.finish", first.id, {"state": "succeeded", "attempt": 1}),
        ("job.claim", second.id, {"state": "running", "attempt": 1}),
    ]
    with database.read() as session:
        last = events.behind(session)[-1]
    assert (last.at, last.node, last.agent) == (AFTER, NODE, ALICE)


@EVERY_WAY
def test_a_job_ends_where_nothing_comes_after_it(database: Database, way: Way) -> None:
    with database.write() as session:
        job = a_running_job(session, kind=QUIET, agent=None, lock="node")
    assert following(over(database, way, job)) == [None]
    assert found(database, job.id).state is JobState.SUCCEEDED
    assert [kind for kind, *_ in told(database)] == ["job.submit", "job.claim", "job.finish"]


@EVERY_WAY
def test_who_was_fenced_out_ends_nothing_and_claims_nothing(database: Database, way: Way) -> None:
    job, other = a_pair(database)
    with database.write() as session:
        moves.make(session, job.id, PARK, now=NOW, attempt=1)  # its lock is free
    before = told(database)
    if way is Way.WORD:
        assert over(database, way, job) == [None]
    else:
        with pytest.raises(IllegalMove):
            over(database, way, job)
    assert found(database, job.id).state is JobState.WAITING
    assert found(database, other.id).state is JobState.QUEUED
    assert told(database) == before


@EVERY_WAY
def test_what_was_done_already_is_not_done_again(database: Database, way: Way) -> None:
    """Nobody heard that it was: what the next one of the lock is now is not looked at."""
    job, other = a_pair(database)
    over(database, way, job)
    before = told(database)
    with pytest.raises(IllegalMove):
        if over(database, way, job) == [None]:
            over(database, Way.TRANSACTION, job)
    assert found(database, other.id).attempt == 1
    assert told(database) == before


@EVERY_WAY
def test_what_holds_back_a_claim_holds_back_this_one(database: Database, way: Way) -> None:
    with database.write() as session:
        job = a_running_job(session, kind=QUIET)
        a_job(session, kind=QUIET, run_at=LATER)
        last = a_job(session, kind=QUIET)
        urgent = a_job(session, kind=QUIET, priority=-9)
    (claimed,) = following(over(database, way, job))
    assert claimed is not None
    assert claimed.id == urgent.id
    with database.write() as session:
        workers.pause(session, NODE, by="t", now=NOW)
    assert following(over(database, way, claimed)) == [None]
    assert found(database, last.id).state is JobState.QUEUED


@EVERY_WAY
def test_of_siblings_only_so_many_are_claimed_this_way_too(database: Database, way: Way) -> None:
    with database.write() as session:
        parent = a_running_job(session, lock="node", at_once=1)
        moves.make(session, parent.id, FINISH, now=NOW, attempt=1)
        a_running_job(session, parent_id=parent.id, lock="bobs")
        job = a_running_job(session, kind=QUIET)
        sibling = a_job(session, parent_id=parent.id)
    assert following(over(database, way, job)) == [None]
    assert found(database, sibling.id).state is JobState.QUEUED


@EVERY_WAY
def test_jobs_of_several_locks_turn_over_together(database: Database, way: Way) -> None:
    """In whatever order they are given."""
    pairs = [a_pair(database, agent=BOB, lock=BOBS_LOCK), a_pair(database)]
    given = [running for running, _ in reversed(pairs)]
    claimed = following(over(database, way, *given))
    assert claimed == [found(database, waits.id) for _, waits in reversed(pairs)]
    assert {job and job.state for job in claimed} == {JobState.RUNNING}
    told_now = [kind for kind, *_ in told(database)]
    assert told_now[-4:] in (
        ["job.finish", "job.claim"] * 2,
        ["job.finish", "job.finish", "job.claim", "job.claim"],
    )


@ON_POSTGRES
def test_in_one_word_one_that_is_fenced_out_does_not_keep_the_others(database: Database) -> None:
    (lost, left), (mine, following_it) = a_pair(database), a_pair(database, lock=BOBS_LOCK)
    with database.write() as session:
        moves.make(session, lost.id, PARK, now=NOW, attempt=1)
    turned = over(database, Way.WORD, lost, mine)
    assert turned == [None, Turned(found(database, following_it.id))]
    assert [found(database, one.id).state for one in (lost, left, mine, following_it)] == [
        JobState.WAITING,
        JobState.QUEUED,
        JobState.SUCCEEDED,
        JobState.RUNNING,
    ]


@ON_POSTGRES
def test_in_one_word_a_lost_job_that_is_claimed_by_another_turn_is_told_once(
    database: Database,
) -> None:
    """Two hands in one lock, which its host lock rules out: told is what is so, all the same."""
    with database.write() as session:
        lost = a_running_job(session, kind=QUIET)
        moves.rescue(session, lost, now=NOW)
        urgent = a_job(session, kind=QUIET, priority=-9)
        assert (running := claimed(session)) is not None
    before = told(database)
    assert running.id == urgent.id
    assert over(database, Way.WORD, lost, running) == [None, Turned(found(database, lost.id))]
    assert told(database)[len(before) :] == [
        ("job.finish", urgent.id, {"state": "succeeded", "attempt": 1}),
        ("job.claim", lost.id, {"state": "running", "attempt": 2}),
    ]


@ON_POSTGRES
def test_in_one_word_one_with_siblings_is_left_to_a_claim(database: Database) -> None:
    """That keeps to their number, which takes another look; what stands behind it waits too."""
    with database.write() as session:
        parent = a_running_job(session, lock="node", at_once=2)
        moves.make(session, parent.id, FINISH, now=NOW, attempt=1)
        job = a_running_job(session, kind=QUIET)
        child, behind = a_job(session, parent_id=parent.id), a_job(session)
    assert following(over(database, Way.WORD, job)) == [None]
    assert [found(database, one.id).state for one in (child, behind)] == [JobState.QUEUED] * 2


@ON_POSTGRES
def test_a_word_is_sent_once_and_no_transaction_of_ours_is_open(database: Database) -> None:
    said = []

    def hear(*given: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        said.append(given[2].split()[0])

    job, _ = a_pair(database)
    begun: list[object] = []
    event.listen(database.modes["write"], "before_cursor_execute", hear)
    event.listen(database.engine, "begin", begun.append)
    over(database, Way.WORD, job)
    assert (said, begun) == (["WITH", "WITH"], [])


@ON_POSTGRES
def test_who_waits_for_a_row_keeps_nobody_from_reading_events(database: Database) -> None:
    """Else who has the row, and tells something too, would wait for the reader, and he for us."""
    first, _ = a_pair(database)
    second, _ = a_pair(database, lock=BOBS_LOCK)
    with ThreadPoolExecutor(1) as thread:
        with database.write() as session:
            session.execute(update(jobs.JOBS).where(jobs.C.id == second.id).values(priority=3))
            word = thread.submit(over, database, Way.WORD, first, second)
            while not (word.done() or is_one_blocked(database)):
                pass
            assert not word.done()
            assert len(told(database)) == 6
        assert None not in word.result()
    assert len(told(database)) == 10


@ON_POSTGRES
def test_what_goes_wrong_in_a_word_undoes_all_of_it(database: Database) -> None:
    first, _ = a_pair(database)
    second, _ = a_pair(database, lock=BOBS_LOCK)
    given = [Turn(first, {}), Turn(second, {"priority": 2**40})]
    with pytest.raises(HiveError), closing(Line(database)) as line:
        turns.turn_over_at_once(line, given, worker="w1", now=AFTER, leased_until=LATER)
    assert {found(database, one.id).state for one in (first, second)} == {JobState.RUNNING}
    assert None not in over(database, Way.WORD, first, second)


@pytest.mark.parametrize("kind", [*TOPICS, QUIET, "sweep", "start"])
def test_a_turn_is_quiet_where_its_end_is_told_to_nobody(database: Database, kind: str) -> None:
    with database.write() as session:
        job = a_running_job(session, kind=kind)
        turns.turn_over(session, [Turn(job, {})], worker="w1", now=AFTER, leased_until=LATER)
        assert bool(session.messages) == (kind in TOPICS)
    assert Turn(job, {}).is_quiet == (kind not in TOPICS)
