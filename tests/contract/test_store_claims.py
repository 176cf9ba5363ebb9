"""A claim: what stands first in a lock, for one worker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hive.domain.job import CANCEL, FINISH, GIVE_BACK, PARK, JobState
from hive.domain.names import NodeName
from hive.errors import Transient
from hive.store import claims, jobs, moves
from hive.store.session import Database, Session
from tests.contract.store_samples import (
    ALICES_LOCK,
    BOBS_LOCK,
    LATER,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    beside,
    claimed,
    claimed_at_once,
    found,
    instant,
)

A_MOMENT = timedelta(microseconds=1)


def test_a_claim_takes_the_lease_and_raises_the_attempt(database: Database) -> None:
    with database.write() as session:
        a_job(session)
        job = claimed(session)
    assert job is not None
    assert (job.state, job.attempt, job.started_at) == (JobState.RUNNING, 1, NOW)
    assert job.worker == "w1"
    assert instant(database, job.id, "leased_until") == LATER
    assert found(database, job.id) == job


def test_a_second_claim_keeps_the_first_start(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, GIVE_BACK, now=NOW, attempt=1)
        again = claimed(session, worker="w2", now=LATER)
    assert again is not None
    assert (again.id, again.attempt, again.started_at) == (job.id, 2, NOW)


def test_a_claim_forgets_until_when_the_job_was_to_wait(database: Database) -> None:
    with database.write() as session:
        a_job(session, run_at=NOW)
        job = claimed(session)
    assert job is not None
    assert job.run_at is None


def test_what_is_not_queued_is_not_claimed(database: Database) -> None:
    with database.write() as session:
        assert claimed(session) is None
        job = a_running_job(session)
        assert claimed(session, worker="w2") is None
        moves.make(session, job.id, PARK, now=NOW)
        assert claimed(session) is None
        moves.make(session, job.id, CANCEL, now=NOW)
        assert claimed(session) is None


def test_a_lock_that_a_running_job_has_lets_no_other_begin(database: Database) -> None:
    with database.write() as session:
        first, second = a_running_job(session), a_job(session, priority=-9)
        assert claimed(session) is None
        assert jobs.running_of(session, ALICES_LOCK) == first
        moves.make(session, first.id, FINISH, now=NOW, attempt=1)
        last = claimed(session)
    assert last is not None
    assert last.id == second.id


def test_a_lock_of_another_agent_is_free(database: Database) -> None:
    with database.write() as session:
        a_running_job(session)
        assert a_running_job(session, lock=BOBS_LOCK).lock == BOBS_LOCK


def test_a_claim_of_nothing_leaves_its_transaction_whole(database: Database) -> None:
    with database.write() as session:
        a_running_job(session)
        assert claimed(session) is None
        kept = a_job(session)
    assert found(database, kept.id) == kept


def test_of_many_that_claim_one_job_one_has_it(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    assert [won.id for won in claimed_at_once(database, [ALICES_LOCK] * 8)] == [job.id]
    assert found(database, job.id).attempt == 1


def test_of_many_jobs_of_one_lock_one_runs(database: Database) -> None:
    with database.write() as session:
        queued = [a_job(session).id for _ in range(8)]
    (won,) = claimed_at_once(database, [ALICES_LOCK] * 8)
    assert won.id == queued[0]
    with database.read() as session:
        assert jobs.running_of(session, ALICES_LOCK) == won
        assert [job.attempt for job in jobs.live(session)] == [1] + [0] * 7


@ON_POSTGRES
def test_a_claim_that_the_index_refuses_was_raced(database: Database) -> None:
    """Two that claim different jobs of one lock have only the index between them."""

    def quicker(session: Session) -> None:
        assert claimed(session) is not None
        with database.write() as other:
            a_job(other, priority=-9)

    with database.write() as session:
        a_job(session)
    with pytest.raises(Transient) as raced:
        beside(database, quicker, claimed)
    assert raced.value.code == claims.RACED
    with database.read() as session:
        assert [job.state for job in jobs.live(session)] == ["running", "queued"]


def test_many_claim_in_many_locks_at_once(database: Database) -> None:
    locks = [f"agent:here/{number}" for number in range(8)]
    with database.write() as session:
        queued = [a_job(session, lock=lock).id for lock in locks]
    assert [job.id for job in claimed_at_once(database, locks)] == queued


def test_the_next_is_the_first_that_is_due_within_a_priority(database: Database) -> None:
    with database.write() as session:
        assert claims.next_of(session, ALICES_LOCK, NOW) is None
        a_job(session, run_at=LATER, priority=-9)
        a_job(session, lock=BOBS_LOCK, priority=-9)
        first, _second = a_job(session), a_job(session)
        assert claims.next_of(session, ALICES_LOCK, NOW) == first
        urgent = a_job(session, priority=-1, run_at=NOW)
        assert claims.next_of(session, ALICES_LOCK, NOW) == urgent
        won = claimed(session)
    assert won is not None
    assert won.id == urgent.id


def test_what_is_not_due_yet_is_next_when_it_is(database: Database) -> None:
    with database.write() as session:
        waits = a_job(session, run_at=LATER)
        assert claims.next_of(session, ALICES_LOCK, LATER - A_MOMENT) is None
        assert claimed(session, now=LATER - A_MOMENT) is None
        assert claims.next_of(session, ALICES_LOCK, LATER) == waits


def test_of_each_lock_in_which_something_can_be_claimed_one_is_due(database: Database) -> None:
    far = NodeName("elsewhere")
    with database.write() as session:
        running = a_running_job(session)
        a_job(session)
        a_job(session, lock="agent:elsewhere/alice", node=far)
        a_job(session, lock="base:here", run_at=LATER)
        bobs = [a_job(session, lock=BOBS_LOCK).id for _ in range(2)]
        urgent = a_job(session, lock="agent:here/carol", priority=-9)
        assert claims.due(session, NODE, NOW, limit=9) == [urgent.id, bobs[0]]
        assert claims.due(session, NODE, NOW, limit=1) == [urgent.id]
        moves.make(session, running.id, FINISH, now=NOW, attempt=1)
        assert len(claims.due(session, NODE, LATER, limit=9)) == 4
