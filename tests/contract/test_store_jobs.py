from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from hive.domain.job import (
    AGAIN,
    APPROVE,
    CANCEL,
    FAIL,
    FINISH,
    PARK,
    RESTORE,
    Job,
    JobId,
    JobState,
    Trouble,
)
from hive.domain.names import NodeName
from hive.errors import Fault, IllegalMove, NotFound, Refused
from hive.store import jobs, moves
from hive.store.session import Database
from tests.contract.store_samples import (
    ALICE,
    BOB,
    BOBS_LOCK,
    EVEN_LATER,
    LATER,
    NODE,
    NOW,
    a_job,
    a_running_job,
    at_once,
    found,
    instant,
    new_job,
    row,
)


def test_a_submitted_job_reads_back_as_it_was_asked(database: Database) -> None:
    with database.write() as session:
        job, is_new = jobs.submit(
            session, new_job(run_at=LATER, priority=3, series="spawn alice"), now=NOW
        )

    assert is_new
    assert found(database, job.id) == job
    assert job == Job(
        id=job.id,
        kind="spawn",
        node=NODE,
        agent=ALICE,
        ask={"agent": "alice"},
        state=JobState.QUEUED,
        attempt=0,
        failures=0,
        losses=0,
        restoring=False,
        lock="agent:here/alice",
        series="spawn alice",
        priority=3,
        worker=None,
        cancel_requested_at=None,
        parent_id=None,
        superseded_by=None,
        approved_at=None,
        approved_by=None,
        seen=None,
        requested_by="uid:0",
        created_at=NOW,
        started_at=None,
        finished_at=None,
        run_at=LATER,
        error=None,
        result=None,
    )
    assert isinstance(job.node, NodeName)


def test_an_instant_comes_back_aware_and_in_utc(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    assert found(database, job.id).created_at.utcoffset() == timedelta(0)


def test_a_job_that_does_not_exist_is_not_found(database: Database) -> None:
    for missing in (0, -1, 4711, 2**31, 10**30):
        with database.read() as session, pytest.raises(NotFound) as refused:
            jobs.find(session, JobId(missing))
        assert refused.value.code == "no-such-job"
        assert str(missing) in refused.value.message


@pytest.mark.parametrize("state", JobState)
def test_the_database_knows_every_state(database: Database, state: JobState) -> None:
    with database.write() as session:
        job = a_job(session)
        session.execute(text("UPDATE jobs SET state = :state"), {"state": state.value})
    assert found(database, job.id).state is state


def test_the_database_knows_no_other_state(database: Database) -> None:
    with pytest.raises(Fault), database.write() as session:
        a_job(session)
        session.execute(text("UPDATE jobs SET state = 'dreaming'"))


@pytest.mark.parametrize("counter", ["attempt", "failures", "losses"])
def test_no_counter_is_negative(database: Database, counter: str) -> None:
    with pytest.raises(Fault, match=f"{counter}_not_negative"), database.write() as session:
        a_job(session)
        session.execute(text(f"UPDATE jobs SET {counter} = -1"))


def test_a_move_changes_the_state_and_what_goes_with_it(database: Database) -> None:
    trouble = Trouble("build-failed", "nix said no", "look at agent.nix")
    with database.write() as session:
        job = a_running_job(session)
        ended = moves.make(session, job.id, FAIL, now=LATER, attempt=1, error=trouble)

    assert (ended.state, ended.error, ended.finished_at) == (JobState.FAILED, trouble, LATER)
    assert found(database, job.id) == ended


def test_what_does_not_end_running_has_neither_lease_nor_worker(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
    assert row(database, job.id)["worker"] == "w1"

    with database.write() as session:
        moves.make(session, job.id, PARK, now=LATER, attempt=1)

    parked = row(database, job.id)
    assert (parked["worker"], parked["leased_until"]) == (None, None)


def test_an_illegal_move_says_what_the_job_is(database: Database) -> None:
    with database.write() as session:
        job = a_job(session)
    with database.write() as session, pytest.raises(IllegalMove) as refused:
        moves.make(session, job.id, APPROVE, now=NOW)
    assert refused.value.message == f"cannot approve job {job.id}: it is queued"
    assert found(database, job.id) == job


def test_a_move_of_a_job_that_does_not_exist_is_not_found(database: Database) -> None:
    with database.write() as session, pytest.raises(NotFound):
        moves.make(session, JobId(4711), CANCEL, now=NOW)


def test_a_fenced_move_changes_nothing_and_names_both_attempts(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
    with database.write() as session, pytest.raises(IllegalMove, match="attempt 1, not 7"):
        moves.make(session, job.id, FINISH, now=LATER, attempt=7, result={"ok": True})
    assert found(database, job.id) == job


def test_of_many_that_move_one_job_one_does(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)

    def finish(_: int) -> bool:
        try:
            with database.write() as session:
                moves.make(session, job.id, FINISH, now=NOW, attempt=1)
        except IllegalMove:
            return False
        return True

    assert sorted(at_once(8, finish)) == [False] * 7 + [True]


def test_a_json_null_is_no_value_at_all(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, AGAIN, now=NOW, error=None, result=None, run_at=LATER)
    assert (row(database, job.id)["error"], row(database, job.id)["seen"]) == (None, None)


def test_jobs_are_listed_newest_first_and_by_what_is_asked(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, lock="base:here")
        second = a_job(session, agent=BOB, kind="apply", lock=BOBS_LOCK)
        third = a_running_job(session, kind="apply")
        everything = jobs.listed(session)
        assert [job.id for job in everything] == [third.id, second.id, first.id]
        assert jobs.listed(session, limit=1) == [third]
        assert jobs.listed(session, agent=BOB) == [second]
        assert jobs.listed(session, kind="apply") == [third, second]
        assert jobs.listed(session, state=JobState.RUNNING) == [third]
        assert jobs.listed(session, state=JobState.RUNNING, agent=BOB) == []


def test_the_live_jobs_of_an_agent_are_those_that_have_not_ended(database: Database) -> None:
    with database.write() as session:
        ended = a_job(session)
        moves.make(session, ended.id, CANCEL, now=NOW)
        running, queued = a_running_job(session), a_job(session)
        a_job(session, agent=BOB)
        a_job(session, node=NodeName("elsewhere"))
        assert jobs.live_of(session, NODE, ALICE) == [running, queued]


def test_an_id_is_never_given_twice(database: Database) -> None:
    with database.write() as session:
        last = max(a_job(session).id for _ in range(3))
        session.execute(text("DELETE FROM jobs"))
        assert jobs.highest(session) == last
    with database.write() as session:
        assert a_job(session).id > last


def test_a_new_database_has_given_no_id(database: Database) -> None:
    with database.read() as session:
        assert jobs.highest(session) == 0


def test_ids_start_above_a_number(database: Database) -> None:
    with database.write() as session:
        jobs.start_above(session, 500)
        assert jobs.highest(session) == 500
        assert a_job(session).id == 501


def test_starting_above_only_ever_raises(database: Database) -> None:
    with database.write() as session:
        jobs.start_above(session, 500)
        for lower in (0, 7, 500):
            jobs.start_above(session, lower)
        assert a_job(session).id == 501


def test_many_that_start_above_a_number_leave_the_highest(database: Database) -> None:
    def submit(number: int) -> JobId:
        with database.write() as session:
            jobs.start_above(session, number * 10)
            return a_job(session).id

    ids = at_once(8, submit)
    assert len(set(ids)) == 8
    with database.read() as session:
        assert jobs.highest(session) == max(ids) >= 71


def test_a_retry_forgets_how_the_job_ended_and_keeps_its_attempt(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, unique_key="spawn:alice")
        trouble = Trouble("not-ready", "nobody answers")
        moves.make(session, job.id, RESTORE, now=NOW, attempt=1, restoring=True, error=trouble)
        moves.make(session, job.id, FAIL, now=LATER, attempt=1, failures=1, losses=2)
        again = moves.retry(session, job.id, now=EVEN_LATER)
    assert (again.state, again.attempt, again.failures, again.losses) == ("queued", 1, 0, 0)
    assert (again.restoring, again.error, again.finished_at) == (False, None, None)
    assert (again.started_at, again.created_at) == (NOW, NOW)
    assert instant(database, job.id, "queued_at") == EVEN_LATER


def test_a_retry_beside_equal_live_work_is_refused_and_changes_nothing(database: Database) -> None:
    with database.write() as session:
        first, _ = jobs.submit(session, new_job(unique_key="spawn:alice"), now=NOW)
        moves.make(session, first.id, CANCEL, now=NOW)
        jobs.submit(session, new_job(unique_key="spawn:alice"), now=NOW)
    with pytest.raises(Refused) as refused, database.write() as session:
        moves.retry(session, first.id, now=LATER)
    assert refused.value.code == "already-live"
    with database.read() as session:
        assert jobs.find(session, first.id).state == "cancelled"


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"state": JobState.FAILED}, "ix_jobs_state_unsuccessful"),
        ({"state": JobState.WAITING}, "ix_jobs_state_live"),
        ({"state": JobState.DENIED, "agent": ALICE}, "ix_jobs_agent_unsuccessful"),
        ({"state": JobState.FAILED, "kind": "spawn"}, "ix_jobs_kind_unsuccessful"),
        ({"agent": ALICE, "kind": "spawn"}, "ix_jobs_agent_id"),
        ({"kind": "spawn"}, "ix_jobs_kind_id"),
    ],
)
def test_no_list_of_jobs_is_a_walk_over_all_there_ever_were(
    database: Database, asked: dict[str, Any], index: str
) -> None:
    """Those that succeeded have no index of their own: nearly all have."""
    said: list[tuple[str, Any]] = []

    def hear(*given: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        said.append((given[2], given[3]))

    with database.read() as session:
        event.listen(session._connection, "before_cursor_execute", hear)
        jobs.listed(session, **asked)
        (words, params), *_ = said
        if database.dialect == "postgresql":  # which walks where there is next to nothing
            session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[database.dialect]
        plan = session._connection.exec_driver_sql(f"{explain} {words}", params).all()
    assert f" {index} " in f"{plan}"
