"""What ends an attempt: lost, in trouble, at a gate, or at a fence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hive.domain.job import (
    APPROVE,
    CANCEL,
    END_CANCELLED,
    FAIL,
    FINISH,
    GIVE_BACK,
    LOSS_LIMIT,
    RESTORE,
    Job,
    JobState,
    StepRecord,
    StepState,
    Trouble,
)
from hive.errors import IllegalMove
from hive.store import jobs, moves, prune, steps, verdicts
from hive.store.session import Database, Session
from tests.contract.store_samples import (
    ALICES_LOCK,
    EVEN_LATER,
    LATER,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    at_once,
    beside,
    claimed,
    found,
    instant,
    row,
)

TROUBLE = Trouble("database-unavailable", "nobody answers", "look at it")
BUILT = StepRecord(0, "Built", StepState.FAILED, "no such link", 0.5)
HAS_RUN, NEVER_RAN = jobs.C.attempt > 0, jobs.C.attempt == 0
SERIES = "deploy alice"
MONTHS = timedelta(days=90)


def rescued(session: Session, job: Job) -> Job:
    """Its worker is gone."""
    back = moves.rescue(session, job, now=LATER)
    assert back is not None
    return back


def lost_and_claimed(session: Session, job: Job, times: int) -> Job:
    """As it runs after so many workers that are gone."""
    for _ in range(times):
        rescued(session, job)
        again = claimed(session, job.lock)
        assert again is not None
        job = again
    return job


def test_a_lost_job_is_queued_again_and_nobodys(database: Database) -> None:
    with database.write() as session:
        back = rescued(session, a_running_job(session))
    assert (back.state, back.attempt, back.losses, back.failures) == ("queued", 1, 1, 0)
    assert (back.worker, back.restoring, back.error) == (None, False, None)
    assert instant(database, back.id, "leased_until") is None
    assert instant(database, back.id, "queued_at") == LATER


def test_the_third_loss_leaves_only_the_way_back(database: Database) -> None:
    with database.write() as session:
        twice = lost_and_claimed(session, a_running_job(session), LOSS_LIMIT - 1)
        assert (twice.losses, twice.restoring, twice.error) == (2, False, None)
        back = rescued(session, twice)
    assert (back.state, back.losses, back.restoring) == ("queued", 3, True)
    assert back.error == moves.WORKER_LOST
    assert back.error.code == "worker-lost"


def test_the_fourth_loss_is_the_end(database: Database) -> None:
    with database.write() as session:
        last = lost_and_claimed(session, a_running_job(session), LOSS_LIMIT)
        ended = rescued(session, last)
        assert claimed(session) is None
    assert (ended.state, ended.finished_at, ended.worker) == (JobState.FAILED, LATER, None)
    assert ended.error is not None
    assert ended.error.code == "worker-lost"
    assert ended.error.message.startswith(moves.WORKER_LOST.message)
    assert "restored" in ended.error.message


def test_what_restored_already_keeps_its_error_when_it_is_lost(database: Database) -> None:
    with database.write() as session:
        job = lost_and_claimed(session, a_running_job(session), LOSS_LIMIT - 1)
        noted = {"restoring": True, "error": TROUBLE}
        job = moves.make(session, job.id, RESTORE, now=NOW, attempt=job.attempt, **noted)
        job = lost_and_claimed(session, job, 1)
        assert (job.restoring, job.error) == (True, TROUBLE)
        last = rescued(session, job).error
    assert last is not None
    assert last.code == "worker-lost", "what was before is not so again: that must be told"
    assert TROUBLE.message in last.message


def test_what_was_drained_was_not_lost(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        back = moves.make(session, job.id, GIVE_BACK, now=LATER, attempt=1)
    assert (back.losses, back.failures, back.attempt) == (0, 0, 1)
    assert instant(database, job.id, "queued_at") == LATER


def test_who_looked_too_long_ago_rescues_nothing(database: Database) -> None:
    with database.write() as session:
        seen = a_running_job(session)
        again = lost_and_claimed(session, seen, 1)
    with database.write() as session:
        assert moves.rescue(session, seen, now=LATER) is None
        moves.make(session, again.id, FINISH, now=LATER, attempt=2)
        assert moves.rescue(session, again, now=LATER) is None
    assert found(database, seen.id).losses == 1


def test_of_many_that_rescue_one_job_one_does(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)

    def rescue(_: int) -> Job | None:
        with database.write() as session:
            return moves.rescue(session, job, now=LATER)

    (back,) = (back for back in at_once(8, rescue) if back is not None)
    assert back.losses == 1
    assert found(database, job.id) == back


def test_transient_trouble_is_tried_again_and_stays_to_see(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        back = moves.again(session, job, error=TROUBLE, run_at=EVEN_LATER, now=LATER)
        assert (back.state, back.failures, back.losses) == ("queued", 1, 0)
        assert (back.error, back.run_at) == (TROUBLE, EVEN_LATER)
        assert claimed(session, now=LATER) is None
        second = claimed(session, now=EVEN_LATER)
    assert second is not None
    assert (second.attempt, second.run_at, second.error) == (2, None, TROUBLE)


def test_a_parked_job_waits_and_is_nobodys(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        behind = a_job(session)
        parked = moves.park(session, job, shown={}, now=LATER)
        assert (parked.state, parked.worker, parked.finished_at) == ("waiting", None, None)
        assert (parked.failures, parked.losses) == (0, 0)
        freed = claimed(session)
    assert freed is not None
    assert freed.id == behind.id


def test_a_parked_job_says_nothing_of_earlier_trouble(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.again(session, job, error=TROUBLE, run_at=NOW, now=NOW)
        second = claimed(session)
        assert second is not None
        assert moves.park(session, second, shown={}, now=LATER).error is None


@pytest.mark.parametrize("end", ["again", "park"])
def test_what_was_cancelled_meanwhile_is_given_back(database: Database, end: str) -> None:
    """Else it would wait with a cancel that nobody looks at."""
    with database.write() as session:
        job = a_running_job(session)
        verdicts.cancel(session, job.id, now=NOW)
        if end == "park":
            back = moves.park(session, job, shown={}, now=LATER)
        else:
            back = moves.again(session, job, error=TROUBLE, run_at=EVEN_LATER, now=LATER)
        assert (back.state, back.run_at, back.failures) == ("queued", None, 0)
        assert back.cancel_requested_at == NOW
        assert claimed(session) is not None


def test_what_would_wait_behind_a_newer_one_of_its_series_makes_way(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, series=SERIES)
        a_job(session, series="deploy bob")
        newer = a_job(session, series=SERIES)
        newest = a_job(session, series=SERIES)
        ended = moves.park(session, job, shown={}, now=LATER)
    assert (ended.state, ended.superseded_by) == (JobState.SUPERSEDED, newest.id)
    assert (ended.finished_at, ended.worker) == (LATER, None)
    assert row(database, job.id)["tag_due"] == "superseded"
    assert found(database, newer.id) == newer


def test_a_newer_one_that_has_ended_is_no_reason_to_make_way(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, series=SERIES)
        newer = a_job(session, series=SERIES)
        moves.make(session, newer.id, CANCEL, now=NOW)
        assert moves.park(session, job, shown={}, now=LATER).state is JobState.WAITING


def test_an_older_one_is_no_reason_to_make_way(database: Database) -> None:
    with database.write() as session:
        a_job(session, series=SERIES, lock="base:here")
        job = a_running_job(session, series=SERIES)
        assert moves.park(session, job, shown={}, now=LATER).state is JobState.WAITING


def test_what_was_approved_makes_way_for_nobody(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, series=SERIES)
        moves.park(session, job, shown={}, now=NOW)
        verdicts.approve(session, job.id, by="uid:0", seen={}, now=NOW)
        approved = claimed(session)
        a_job(session, series=SERIES)
        assert approved is not None
        assert moves.park(session, approved, shown={}, now=LATER).state is JobState.WAITING


@ON_POSTGRES
def test_what_parks_while_a_newer_one_is_submitted_makes_way(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, series=SERIES)

    def submit(session: Session) -> None:
        verdicts.supersede(session, a_job(session, series=SERIES), now=LATER)

    ended = beside(database, submit, lambda session: moves.park(session, job, shown={}, now=LATER))
    assert ended.state is JobState.SUPERSEDED


@ON_POSTGRES
def test_a_newer_one_that_is_submitted_while_another_parks_takes_its_place(
    database: Database,
) -> None:
    with database.write() as session:
        job = a_running_job(session, series=SERIES)

    def submit(session: Session) -> list[int]:
        return [*verdicts.supersede(session, a_job(session, series=SERIES), now=LATER)]

    made_way = beside(
        database, lambda session: moves.park(session, job, shown={}, now=LATER), submit
    )
    assert made_way == [job.id]
    assert found(database, job.id).state is JobState.SUPERSEDED


def test_a_fenced_attempt_moves_nothing(database: Database) -> None:
    with database.write() as session:
        zombie = a_running_job(session)
        lost_and_claimed(session, zombie, 1)
    before = row(database, zombie.id)
    for move in (FINISH, FAIL, GIVE_BACK, END_CANCELLED, RESTORE):
        with pytest.raises(IllegalMove, match="attempt 2, not 1"), database.write() as session:
            moves.make(session, zombie.id, move, now=LATER, attempt=1, error=TROUBLE)
    with pytest.raises(IllegalMove), database.write() as session:
        moves.park(session, zombie, shown={}, now=LATER)
    with pytest.raises(IllegalMove), database.write() as session:
        moves.again(session, zombie, error=TROUBLE, run_at=LATER, now=LATER)
    assert row(database, zombie.id) == before


def test_a_fenced_attempt_parks_nothing_that_waits(database: Database) -> None:
    """The attempt is the row's still: only the state says that it is over."""
    with database.write() as session:
        job = a_running_job(session)
        moves.park(session, job, shown={}, now=NOW)
        newer = a_job(session, series=SERIES)
    before = row(database, job.id)
    for zombie in (job, replace(job, series=SERIES)):
        with pytest.raises(IllegalMove), database.write() as session:
            moves.park(session, zombie, shown={}, now=LATER)
    assert row(database, job.id) == before
    assert found(database, newer.id) == newer


def test_a_move_that_nobody_made_is_none(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
        assert moves.made(session, job.id, APPROVE, now=NOW, also={}) is None
        assert moves.made(session, job.id, CANCEL, now=NOW, only=HAS_RUN, also={}) is None
        assert moves.made(session, job.id, CANCEL, now=NOW, only=NEVER_RAN, also={}) is not None


def test_only_what_ends_says_when_it_finished(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        back = moves.make(session, job.id, GIVE_BACK, now=LATER, attempt=1)
        assert back.finished_at is None
        assert claimed(session) is not None
        ended = moves.make(session, job.id, FINISH, now=EVEN_LATER, attempt=2)
    assert (ended.state, ended.finished_at) == (JobState.SUCCEEDED, EVEN_LATER)
    assert instant(database, job.id, "queued_at") == LATER


def test_a_retry_takes_back_the_verdict_and_the_cancel(database: Database) -> None:
    with database.write() as session:
        job = a_job(session, run_at=EVEN_LATER)
        verdicts.cancel(session, job.id, now=NOW)
        back = moves.retry(session, job.id, now=LATER)
        assert verdicts.tags_due(session, back.node) == []
        assert (back.cancel_requested_at, back.run_at) == (None, None)
        assert claimed(session) is not None


@pytest.mark.parametrize("state", ["queued", "succeeded"])
def test_what_has_neither_failed_nor_was_cancelled_is_not_retried(
    database: Database, state: str
) -> None:
    with database.write() as session:
        job = a_running_job(session)
        move = FINISH if state == "succeeded" else GIVE_BACK
        moves.make(session, job.id, move, now=NOW, attempt=1)
    with pytest.raises(IllegalMove, match=state), database.write() as session:
        moves.retry(session, job.id, now=LATER)


def test_of_many_retries_of_one_job_one_is_made(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, FAIL, now=NOW, attempt=1, error=TROUBLE)

    def retry(_: int) -> bool:
        try:
            with database.write() as session:
                moves.retry(session, job.id, now=LATER)
        except IllegalMove:
            return False
        return True

    assert sum(at_once(8, retry)) == 1


def test_what_a_retry_leaves_behind_is_pruned_again(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, agent=None)
        moves.make(session, job.id, FAIL, now=NOW, attempt=1, error=TROUBLE)
        assert prune.strip_jobs(session, before=NOW + MONTHS, last=20, limit=9) == 1
        moves.retry(session, job.id, now=LATER)
        assert claimed(session) is not None
        assert steps.record(session, job.id, 2, BUILT, started_at=LATER)
        moves.make(session, job.id, FAIL, now=LATER, attempt=2, error=TROUBLE)
        assert prune.strip_jobs(session, before=NOW + MONTHS, last=20, limit=9) == 1
        assert steps.of(session, job.id) == []


@ON_POSTGRES
def test_a_rescue_beside_the_end_of_an_attempt_changes_nothing(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)

    def finish(session: Session) -> Job:
        return moves.make(session, job.id, FINISH, now=LATER, attempt=1)

    assert beside(database, finish, lambda session: moves.rescue(session, job, now=LATER)) is None
    assert found(database, job.id).state is JobState.SUCCEEDED
    with database.read() as session:
        assert jobs.running_of(session, ALICES_LOCK) is None
