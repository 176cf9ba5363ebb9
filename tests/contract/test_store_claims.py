from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from hive.domain.job import FINISH, GIVE_BACK, PARK, Job, JobId, JobState
from hive.store import jobs
from hive.store.session import Database
from tests.contract.store_samples import (
    ALICES_LOCK,
    LATER,
    NOW,
    a_job,
    a_running_job,
    at_once,
    claimed,
)

EVEN_LATER = LATER + timedelta(minutes=5)


def test_a_claim_takes_the_lease_and_raises_the_attempt(database: Database) -> None:
    with database.write() as session:
        job = claimed(session, a_job(session).id)
        assert job is not None
        assert (job.state, job.attempt, job.started_at) == (JobState.RUNNING, 1, NOW)
        leased = session.execute(text("SELECT worker, leased_until IS NOT NULL FROM jobs")).one()
        assert leased == ("w1", True)


def test_a_second_claim_keeps_the_first_start_and_clears_the_end(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        jobs.make(session, job.id, GIVE_BACK, attempt=1, finished_at=LATER)
        again = jobs.claim(session, job.id, worker="w2", now=LATER, leased_until=EVEN_LATER)
    assert again is not None
    assert (again.attempt, again.started_at, again.finished_at) == (2, NOW, None)


def test_what_is_not_queued_is_not_claimed(database: Database) -> None:
    with database.write() as session:
        running = a_running_job(session)
        assert claimed(session, running.id, "w2") is None
        jobs.make(session, running.id, PARK)
        assert claimed(session, running.id) is None
        assert claimed(session, JobId(4711)) is None


def test_a_lock_that_a_running_job_has_lets_no_other_begin(database: Database) -> None:
    with database.write() as session:
        first, second = a_running_job(session), a_job(session)
        assert claimed(session, second.id) is None
        assert jobs.running_of(session, ALICES_LOCK) == first
        jobs.make(session, first.id, FINISH, attempt=1)
        assert claimed(session, second.id) is not None


def test_a_refused_claim_leaves_its_transaction_whole(database: Database) -> None:
    with database.write() as session:
        a_running_job(session)
        kept = a_job(session)
        assert claimed(session, kept.id) is None
    with database.read() as session:
        assert jobs.find(session, kept.id) == kept


def test_of_many_that_claim_one_job_one_has_it(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)

    def claim(number: int) -> Job | None:
        with database.write() as session:
            return claimed(session, job.id, f"w{number}")

    winners = [won for won in at_once(8, claim) if won is not None]
    assert [won.attempt for won in winners] == [1]


def test_of_many_jobs_of_one_lock_one_runs(database: Database) -> None:
    """Each thread claims a job of its own: only the index stands between them."""
    with database.write() as session:
        queued = [a_job(session).id for _ in range(8)]

    def claim_and_submit(number: int) -> Job | None:
        with database.write() as session:
            won = claimed(session, queued[number])
            a_job(session, lock="agent:here/bob")  # the transaction is still good
            return won

    winners = [won for won in at_once(8, claim_and_submit) if won is not None]
    with database.read() as session:
        assert [jobs.running_of(session, ALICES_LOCK)] == winners
        assert len(jobs.listed(session)) == 16


def test_a_running_job_is_taken_over_with_a_higher_attempt(database: Database) -> None:
    with database.write() as session:
        lost = a_running_job(session)
        job = jobs.take_over(
            session, lost.id, seen_attempt=1, worker="w2", now=LATER, leased_until=EVEN_LATER
        )
    assert job is not None
    assert (job.state, job.attempt, job.started_at) == (JobState.RUNNING, 2, NOW)


def test_of_many_that_take_over_one_job_one_has_it(database: Database) -> None:
    with database.write() as session:
        lost = a_running_job(session)

    def take_over(number: int) -> Job | None:
        with database.write() as session:
            return jobs.take_over(
                session,
                lost.id,
                seen_attempt=1,
                worker=f"w{number}",
                now=LATER,
                leased_until=EVEN_LATER,
            )

    assert [won.attempt for won in at_once(8, take_over) if won is not None] == [2]


def test_what_is_not_running_is_not_taken_over(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
        taken = jobs.take_over(
            session, job.id, seen_attempt=0, worker="w", now=NOW, leased_until=LATER
        )
        assert taken is None


def test_the_next_is_the_first_that_is_due_within_a_priority(database: Database) -> None:
    with database.write() as session:
        assert jobs.next_of(session, ALICES_LOCK, NOW) is None
        a_job(session, run_at=LATER, priority=-9)
        a_job(session, lock="agent:here/bob", priority=-9)
        first, _second = a_job(session), a_job(session)
        assert jobs.next_of(session, ALICES_LOCK, NOW) == first
        urgent = a_job(session, priority=-1, run_at=NOW)
        assert jobs.next_of(session, ALICES_LOCK, NOW) == urgent


def test_what_is_not_due_yet_is_next_when_it_is(database: Database) -> None:
    with database.write() as session:
        waits = a_job(session, run_at=LATER)
        assert jobs.next_of(session, ALICES_LOCK, LATER - timedelta(microseconds=1)) is None
        assert jobs.next_of(session, ALICES_LOCK, LATER) == waits
