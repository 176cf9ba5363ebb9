from __future__ import annotations

from datetime import timedelta

import pytest

from hive.domain.job import CANCEL, JobId
from hive.errors import Fault, Refused
from hive.store import jobs, moves
from hive.store.session import Database
from tests.contract.store_samples import BOB, EVEN_LATER, NOW, a_job, at_once, new_job


def test_equal_work_that_is_live_is_one_job(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, unique_key="spawn alice")
        assert jobs.submit(session, new_job(unique_key="spawn alice"), now=NOW) == (first, False)


def test_equal_work_after_the_end_is_a_new_job(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, unique_key="spawn alice")
        moves.make(session, first.id, CANCEL, now=NOW)
        second, is_new = jobs.submit(session, new_job(unique_key="spawn alice"), now=NOW)
    assert is_new
    assert second.id > first.id


def test_without_a_key_each_request_is_a_job(database: Database) -> None:
    with database.write() as session:
        assert a_job(session).id != a_job(session).id


def test_of_many_equal_requests_at_once_one_is_new(database: Database) -> None:
    def submit(_: int) -> tuple[JobId, bool]:
        with database.write() as session:
            job, is_new = jobs.submit(session, new_job(unique_key="spawn alice"), now=NOW)
            return job.id, is_new

    answers = at_once(8, submit)
    assert len({job for job, _ in answers}) == 1
    assert sorted(is_new for _, is_new in answers) == [False] * 7 + [True]


def test_a_key_returns_its_job_even_after_the_end(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, idempotency_key="k")
        moves.make(session, first.id, CANCEL, now=NOW)
        again, is_new = jobs.submit(session, new_job(idempotency_key="k"), now=NOW)
    assert (again.id, is_new) == (first.id, False)


def test_another_request_under_a_key_is_refused(database: Database) -> None:
    with database.write() as session:
        first = a_job(session, idempotency_key="k")
    others = (new_job(agent=BOB), new_job(kind="apply"), new_job(ask={"agent": "x"}))
    for other in others:
        asked = new_job(kind=other.kind, agent=other.agent, ask=other.ask, idempotency_key="k")
        with database.write() as session, pytest.raises(Refused) as refused:
            jobs.submit(session, asked, now=NOW)
        assert refused.value.code == "key-reused"
        assert f"job {first.id}" in refused.value.message


def test_a_request_is_the_same_after_its_way_through_json(database: Database) -> None:
    asked = new_job(ask={"steps": ("a", "b")}, idempotency_key="k")
    with database.write() as session:
        first, _ = jobs.submit(session, asked, now=NOW)
        assert jobs.submit(session, asked, now=NOW) == (first, False)


def test_of_many_requests_under_one_key_at_once_one_is_new(database: Database) -> None:
    def submit(_: int) -> tuple[JobId, bool]:
        with database.write() as session:
            job, is_new = jobs.submit(session, new_job(idempotency_key="k"), now=NOW)
            return job.id, is_new

    answers = at_once(8, submit)
    assert len({job for job, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1


def test_a_key_that_met_equal_live_work_still_names_it_after_the_end(database: Database) -> None:
    asked = new_job(unique_key="spawn alice", idempotency_key="k")
    with database.write() as session:
        live = a_job(session, unique_key="spawn alice")
        assert jobs.submit(session, asked, now=NOW) == (live, False)
        moves.make(session, live.id, CANCEL, now=NOW)
        again, is_new = jobs.submit(session, asked, now=NOW)
    assert (again.id, is_new) == (live.id, False)


def test_a_child_of_no_job_is_a_fault_and_leaves_nothing(database: Database) -> None:
    with pytest.raises(Fault), database.write() as session:
        a_job(session)
        a_job(session, parent_id=JobId(4711))
    with database.read() as session:
        assert jobs.listed(session) == []


def test_equal_work_begins_when_it_is_wanted_soonest(database: Database) -> None:
    """Also where a clock that was ahead has asked for it."""
    ahead = NOW + timedelta(days=365)
    wants = ((ahead, ahead), (EVEN_LATER, EVEN_LATER), (ahead, EVEN_LATER), (None, None))
    with database.write() as session:
        for run_at, begins in wants:
            assert a_job(session, unique_key="start:alice", run_at=run_at).run_at == begins
