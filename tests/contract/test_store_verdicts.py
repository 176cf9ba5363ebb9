"""What people decide about a job, and what that leaves to do on its host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from hive.domain.job import (
    CANCEL,
    CANCELLED,
    END_CANCELLED,
    FINISH,
    GIVE_BACK,
    Job,
    JobId,
    JobState,
    Trouble,
)
from hive.domain.names import NodeName
from hive.errors import IllegalMove, NotFound
from hive.store import events, jobs, moves, verdicts
from hive.store.session import Database, Session
from tests.contract.store_samples import (
    EVEN_LATER,
    LATER,
    NODE,
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

Sample = Callable[[Session], Job]

SERIES = "deploy alice"
GONE = Trouble("agent-gone", "its folder is lost")
SEEN = {"rev": "80634f8e", "deployed": None, "base": "c71995d4", "closure": "/nix/store/x"}


def a_waiting_job(session: Session, **overrides: str) -> Job:
    job = a_running_job(session, **overrides)
    return moves.park(session, job, shown={}, now=NOW)


def a_job_given_back(session: Session, **overrides: str) -> Job:
    """Queued, and it has run before."""
    job = a_running_job(session, **overrides)
    return moves.make(session, job.id, GIVE_BACK, now=NOW, attempt=1)


def due(session: Session) -> list[tuple[JobId, str]]:
    return [(job.id, verdict) for job, verdict in verdicts.tags_due(session, NODE)]


def test_what_has_never_run_is_cancelled_at_once(database: Database) -> None:
    with database.write() as session:
        job = a_job(session, run_at=EVEN_LATER)
        ended = verdicts.cancel(session, job.id, now=LATER)
        assert (ended.state, ended.finished_at) == (JobState.CANCELLED, LATER)
        assert (ended.cancel_requested_at, ended.error) == (LATER, CANCELLED)
        assert due(session) == [(job.id, "cancelled")]


def test_what_waits_is_cancelled_at_once(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session)
        ended = verdicts.cancel(session, job.id, now=LATER)
        assert (ended.state, ended.finished_at) == (JobState.CANCELLED, LATER)
        assert due(session) == [(job.id, "cancelled")]


def test_what_runs_is_told_of_its_cancel_and_its_worker_ends_it(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        asked = verdicts.cancel(session, job.id, now=LATER)
        assert (asked.state, asked.cancel_requested_at) == (JobState.RUNNING, LATER)
        assert (asked.worker, asked.finished_at) == ("w1", None)
        assert due(session) == []
        ended = moves.make(session, job.id, END_CANCELLED, now=EVEN_LATER, attempt=1)
    assert (ended.state, ended.finished_at) == (JobState.CANCELLED, EVEN_LATER)


def test_what_has_run_before_is_due_at_once_for_its_worker_to_end_it(database: Database) -> None:
    """It may have switched: only a worker can tell, and restore."""
    error = Trouble("database-unavailable", "nobody answers")
    with database.write() as session:
        job = a_running_job(session)
        moves.again(session, job, error=error, run_at=EVEN_LATER, now=NOW)
        asked = verdicts.cancel(session, job.id, now=LATER)
        assert (asked.state, asked.cancel_requested_at) == (JobState.QUEUED, LATER)
        assert asked.run_at is None
        assert due(session) == []
        second = claimed(session, now=LATER)
    assert second is not None
    assert second.cancel_requested_at == LATER


@pytest.mark.parametrize("sample", [a_running_job, a_job_given_back])
def test_a_second_cancel_changes_nothing(database: Database, sample: Sample) -> None:
    with database.write() as session:
        job = sample(session)
        verdicts.cancel(session, job.id, now=NOW)
    before = row(database, job.id)
    with database.write() as session:
        told = events.last(session)
        again = verdicts.cancel(session, job.id, now=LATER)
    assert again.cancel_requested_at == NOW
    assert row(database, job.id) == before
    with database.read() as session:
        assert events.last(session) == told


@pytest.mark.parametrize("sample", [a_job, a_waiting_job])
def test_a_second_cancel_of_what_it_ended_is_refused(database: Database, sample: Sample) -> None:
    with database.write() as session:
        job = sample(session)
        verdicts.cancel(session, job.id, now=NOW)
    said = f"cannot cancel job {job.id}: it is cancelled"
    with pytest.raises(IllegalMove, match=said), database.write() as session:
        verdicts.cancel(session, job.id, now=LATER)


def test_what_has_ended_is_not_cancelled(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, FINISH, now=NOW, attempt=1)
    with pytest.raises(IllegalMove, match="succeeded"), database.write() as session:
        verdicts.cancel(session, job.id, now=LATER)
    with pytest.raises(NotFound), database.write() as session:
        verdicts.cancel(session, JobId(4711), now=LATER)


def test_a_cancel_survives_a_lost_worker(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        verdicts.cancel(session, job.id, now=NOW)
        assert moves.rescue(session, job, now=LATER) is not None
        second = claimed(session)
    assert second is not None
    assert second.cancel_requested_at == NOW


def test_of_many_cancels_at_once_the_first_is_told(database: Database) -> None:
    with database.write() as session:
        idle, busy = a_job(session, lock="base:here"), a_running_job(session)

    def cancel(number: int) -> bool:
        try:
            with database.write() as session:
                verdicts.cancel(session, idle.id, now=LATER)
                verdicts.cancel(session, busy.id, now=LATER)
        except IllegalMove:
            return False
        return True

    assert sum(at_once(8, cancel)) == 1
    with database.read() as session:
        kinds = [event.kind for event in events.behind(session) if event.at == LATER]
    assert sorted(kinds) == ["job.cancel", "job.cancel-requested"]


@ON_POSTGRES
def test_a_cancel_that_a_claim_outran_is_on_the_row_of_what_runs(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    asked = beside(database, claimed, lambda session: verdicts.cancel(session, job.id, now=LATER))
    assert (asked.state, asked.cancel_requested_at) == (JobState.RUNNING, LATER)


@ON_POSTGRES
def test_a_claim_that_a_cancel_outran_takes_nothing(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    taken = beside(database, lambda session: verdicts.cancel(session, job.id, now=LATER), claimed)
    assert taken is None
    assert found(database, job.id).state is JobState.CANCELLED


@ON_POSTGRES
def test_a_cancel_that_a_park_outran_ends_what_waits(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
    ended = beside(
        database,
        lambda session: moves.park(session, job, shown={}, now=LATER),
        lambda session: verdicts.cancel(session, job.id, now=LATER),
    )
    assert ended.state is JobState.CANCELLED


def test_what_was_approved_is_queued_again_and_says_what_was_seen(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session)
        approved = verdicts.approve(session, job.id, by="uid:0", seen=SEEN, now=LATER)
        assert (approved.state, approved.approved_at) == (JobState.QUEUED, LATER)
        assert session.execute(
            select(jobs.C.approved_by, jobs.C.seen).where(jobs.C.id == job.id)
        ).one() == ("uid:0", SEEN)
        assert due(session) == []
        again = claimed(session)
    assert again is not None
    assert (again.attempt, again.approved_at) == (2, LATER)
    assert instant(database, job.id, "queued_at") == LATER


def test_what_was_denied_has_ended_and_says_why(database: Database) -> None:
    with database.write() as session:
        first = a_waiting_job(session)
        second = a_waiting_job(session)
        denied = verdicts.deny(session, first.id, note="not on a Friday", now=LATER)
        wordless = verdicts.deny(session, second.id, note="", now=LATER)
        assert due(session) == [(first.id, "denied"), (second.id, "denied")]
    assert (denied.state, denied.finished_at) == (JobState.DENIED, LATER)
    assert denied.error == Trouble("denied", "not on a Friday")
    assert wordless.error == Trouble("denied", "an operator denied it")


def test_what_was_withdrawn_is_cancelled_and_says_so(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session)
        ended = verdicts.withdraw(session, job.id, now=LATER)
        assert (ended.state, ended.finished_at) == (JobState.CANCELLED, LATER)
        assert ended.error is not None
        assert ended.error.code == "withdrawn"
        assert due(session) == [(job.id, "cancelled")]


@pytest.mark.parametrize("sample", [a_job, a_job_given_back, a_waiting_job])
def test_what_lost_its_agent_has_failed(database: Database, sample: Sample) -> None:
    with database.write() as session:
        job = sample(session)
        ended = verdicts.orphan(session, job.id, error=GONE, now=LATER)
        assert (ended.state, ended.finished_at) == (JobState.FAILED, LATER)
        assert ended.error == GONE
        assert due(session) == [(job.id, "failed")]


def test_a_verdict_is_given_only_on_what_waits(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        behind = a_job(session)
    for one in (job, behind):
        with pytest.raises(IllegalMove), database.write() as session:
            verdicts.approve(session, one.id, by="uid:0", seen={}, now=LATER)
        with pytest.raises(IllegalMove), database.write() as session:
            verdicts.deny(session, one.id, note="", now=LATER)
        with pytest.raises(IllegalMove), database.write() as session:
            verdicts.withdraw(session, one.id, now=LATER)
    with pytest.raises(IllegalMove), database.write() as session:
        verdicts.orphan(session, job.id, error=GONE, now=LATER)
    assert (found(database, job.id), found(database, behind.id)) == (job, behind)


def test_of_many_verdicts_on_one_job_one_is_given(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session)

    def decide(number: int) -> bool:
        try:
            with database.write() as session:
                if number % 2:
                    verdicts.approve(session, job.id, by="uid:0", seen={}, now=LATER)
                else:
                    verdicts.deny(session, job.id, note="", now=LATER)
        except IllegalMove:
            return False
        return True

    assert sum(at_once(8, decide)) == 1


def test_a_newer_one_takes_the_place_of_those_that_wait(database: Database) -> None:
    with database.write() as session:
        first = a_waiting_job(session, series=SERIES)
        bobs = a_waiting_job(session, series="deploy bob")
        newer = a_job(session, series=SERIES)
        assert verdicts.supersede(session, newer, now=LATER) == [first.id]
        assert verdicts.supersede(session, newer, now=LATER) == []
        assert due(session) == [(first.id, "superseded")]
    ended = found(database, first.id)
    assert (ended.state, ended.superseded_by) == (JobState.SUPERSEDED, newer.id)
    assert ended.finished_at == LATER
    assert (found(database, bobs.id), found(database, newer.id)) == (bobs, newer)


def test_what_runs_or_is_queued_makes_way_for_nobody_yet(database: Database) -> None:
    with database.write() as session:
        running = a_running_job(session, series=SERIES)
        queued = a_job(session, series=SERIES)
        newer = a_job(session, series=SERIES)
        assert verdicts.supersede(session, newer, now=LATER) == []
    assert [found(database, job.id) for job in (running, queued)] == [running, queued]


def test_an_older_one_supersedes_nothing(database: Database) -> None:
    with database.write() as session:
        older = a_job(session, series=SERIES, lock="base:here")
        waits = a_waiting_job(session, series=SERIES)
        assert verdicts.supersede(session, older, now=LATER) == []
    assert found(database, waits.id) == waits


def test_what_was_approved_and_waits_again_is_not_superseded(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session, series=SERIES)
        verdicts.approve(session, job.id, by="uid:0", seen={}, now=NOW)
        approved = claimed(session)
        assert approved is not None
        waits = moves.park(session, approved, shown={}, now=NOW)
        newer = a_job(session, series=SERIES)
        assert verdicts.supersede(session, newer, now=LATER) == []
    assert found(database, job.id) == waits


@ON_POSTGRES
def test_what_is_approved_while_a_newer_one_is_submitted_is_not_superseded(
    database: Database,
) -> None:
    with database.write() as session:
        job = a_waiting_job(session, series=SERIES)

    def approve_and_claim(session: Session) -> None:
        verdicts.approve(session, job.id, by="uid:0", seen={}, now=LATER)
        assert claimed(session) is not None

    def submit(session: Session) -> list[JobId]:
        return verdicts.supersede(session, a_job(session, series=SERIES), now=LATER)

    assert beside(database, approve_and_claim, submit) == []
    assert found(database, job.id).state is JobState.RUNNING


@ON_POSTGRES
def test_what_is_superseded_while_it_is_approved_is_not_approved(database: Database) -> None:
    with database.write() as session:
        job = a_waiting_job(session, series=SERIES)

    def submit(session: Session) -> None:
        verdicts.supersede(session, a_job(session, series=SERIES), now=LATER)

    def approve(session: Session) -> None:
        verdicts.approve(session, job.id, by="uid:0", seen={}, now=LATER)

    with pytest.raises(IllegalMove, match="it is superseded"):
        beside(database, submit, approve)


def test_of_many_that_are_submitted_and_park_at_once_the_newest_waits(database: Database) -> None:
    """Each claims in a lock of its own, so that all of them are under way together."""

    def propose(number: int) -> JobId:
        lock = f"agent:here/{number}"
        with database.write() as session:
            job = a_job(session, series=SERIES, lock=lock)
            verdicts.supersede(session, job, now=LATER)
        with database.write() as session:
            running = claimed(session, lock)
        assert running is not None
        with database.write() as session:
            moves.park(session, running, shown={}, now=LATER)
        return job.id

    newest = max(at_once(8, propose))
    with database.read() as session:
        waiting = jobs.listed(session, state=JobState.WAITING)
        made_way = jobs.listed(session, state=JobState.SUPERSEDED)
    assert [job.id for job in waiting] == [newest]
    assert len(made_way) == 7
    assert all(job.superseded_by and job.superseded_by > job.id for job in made_way)


def test_a_verdict_is_due_on_its_node_until_it_is_seen_to(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
        verdicts.cancel(session, job.id, now=LATER)
        far = a_job(session, node=NodeName("elsewhere"), lock="base:elsewhere")
        verdicts.cancel(session, far.id, now=LATER)
        assert due(session) == [(job.id, "cancelled")]
        assert len(verdicts.tags_due(session, NodeName("elsewhere"))) == 1
        verdicts.tag_done(session, job.id, "denied")
        assert due(session) == [(job.id, "cancelled")]
        verdicts.tag_done(session, job.id, "cancelled")
        assert due(session) == []


def test_verdicts_are_due_in_order_and_not_all_at_once(database: Database) -> None:
    with database.write() as session:
        several = [a_job(session).id for _ in range(3)]
        for job in reversed(several):
            moves.make(session, job, CANCEL, now=NOW, tag_due="cancelled")
        some = verdicts.tags_due(session, NODE, limit=2)
    assert [job.id for job, _ in some] == several[:2]
