"""Who is at work where: workers and what they hold, nodes and their pauses, a parent's number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from hive.domain.job import FINISH, GIVE_BACK, URGENT, Job, JobId, JobState
from hive.domain.names import NodeName
from hive.domain.worker import SILENT, Node, Role, Worker
from hive.store import claims, jobs, moves, verdicts, workers
from hive.store.session import Database, Session
from hive.store.workers import Held
from tests.contract.store_samples import (
    ALICES_LOCK,
    BOBS_LOCK,
    EVEN_LATER,
    LATER,
    NODE,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    a_worker,
    at_once,
    claimed,
    claimed_at_once,
    found,
    instant,
    is_one_blocked,
)

FAR = NodeName("elsewhere")
FARS_LOCK = "agent:elsewhere/alice"


def a_worker_of(pid: int, node: NodeName = NODE, **overrides: object) -> Worker:
    return a_worker(process=replace(a_worker().process, pid=pid, node=node), **overrides)


def a_family(session: Session, count: int, at_once: int | None) -> tuple[Job, list[Job]]:
    """A parent, and children in a lock each."""
    parent = a_job(session, kind="reconcile", agent=None, lock="reconcile:here", at_once=at_once)
    of_parent = [
        a_job(session, lock=f"agent:here/{parent.id}-{number}", parent_id=parent.id)
        for number in range(count)
    ]
    return parent, of_parent


def finish(session: Session, job: Job) -> None:
    moves.make(session, job.id, FINISH, now=LATER, attempt=job.attempt)


def test_a_worker_reads_back_as_it_registered(database: Database) -> None:
    worker = a_worker()
    with database.write() as session:
        workers.register(session, worker)
    with database.read() as session:
        assert workers.listed(session) == [worker]
        assert worker.id == "here:4711:123456:a-boot-i"


def test_a_worker_that_registers_again_says_what_is_so_now(database: Database) -> None:
    later = a_worker(draining=True, beat_at=LATER, concurrency=1)
    with database.write() as session:
        workers.register(session, a_worker())
        workers.register(session, later)
        assert workers.listed(session) == [later]


def test_workers_are_listed_by_node_the_oldest_first(database: Database) -> None:
    young, old = a_worker_of(1, since=LATER), a_worker_of(2)
    far = a_worker_of(3, FAR)
    with database.write() as session:
        for worker in (young, old, far):
            workers.register(session, worker)
        assert workers.listed(session) == [far, old, young]
        assert workers.listed(session, NODE) == [old, young]


def test_many_register_at_once(database: Database) -> None:
    def register(number: int) -> None:
        for worker in (a_worker(), a_worker_of(number)):
            with database.write() as session:
                workers.register(session, worker)

    at_once(8, register)
    with database.read() as session:
        assert len(workers.listed(session)) == 9


@pytest.mark.parametrize("role", [Role.WORKER, Role.UP, Role.MAINTENANCE])
def test_a_node_is_seen_while_its_processes_beat(database: Database, role: Role) -> None:
    with database.write() as session:
        workers.register(session, a_worker(role=role))
        workers.register(session, a_worker(role=role, beat_at=LATER))
        (node,) = workers.nodes(session)
    assert node == Node(NODE, seen_at=LATER, paused_at=None, paused_by=None)
    assert not node.is_silent(LATER + SILENT)
    assert node.is_silent(LATER + SILENT + timedelta(microseconds=1))


def test_a_command_is_no_sign_of_a_node(database: Database) -> None:
    with database.write() as session:
        workers.register(session, a_worker(role=Role.COMMAND))
        assert workers.nodes(session) == []


def test_who_leaves_is_gone_and_its_node_is_known(database: Database) -> None:
    with database.write() as session:
        workers.register(session, a_worker())
        workers.register(session, a_worker_of(2))
        workers.leave(session, a_worker().id)
        assert workers.listed(session) == [a_worker_of(2)]
        assert [node.name for node in workers.nodes(session)] == [NODE]


def test_who_is_named_by_a_running_job_does_not_leave_idle(database: Database) -> None:
    busy, idle = a_worker(), a_worker_of(2)
    with database.write() as session:
        for worker in (busy, idle):
            workers.register(session, worker)
        job = a_running_job(session, busy.id)
        for worker in (busy, idle):
            workers.leave_idle(session, worker.id)
        assert workers.listed(session) == [busy]
        finish(session, job)
        workers.leave_idle(session, busy.id)
        assert workers.listed(session) == []


def test_a_beat_carries_the_leases_of_what_a_worker_holds(database: Database) -> None:
    with database.write() as session:
        mine = a_running_job(session, "w1")
        given_back = a_running_job(session, "w1", lock=BOBS_LOCK)
        moves.make(session, given_back.id, GIVE_BACK, now=NOW, attempt=1)
        other = a_running_job(session, "w2", lock="base:here")
        unnamed = a_running_job(session, "w1", lock="reconcile:here")
        held = [mine.id, given_back.id, other.id]
        workers.beat(session, held, "w1", leased_until=EVEN_LATER)
        workers.beat(session, [], "w1", leased_until=EVEN_LATER)
    leases = [instant(database, job.id, "leased_until") for job in (mine, other, unnamed)]
    assert leases == [EVEN_LATER, LATER, LATER]
    assert instant(database, given_back.id, "leased_until") is None


@ON_POSTGRES
def test_a_beat_and_who_ends_several_jobs_wait_for_no_circle(database: Database) -> None:
    """Rows lie as they were written last: a beat that took them so would have the second first."""
    with database.write() as session:
        workers.register(session, a_worker())
        held = [a_running_job(session, a_worker().id, lock=f"l{n}").id for n in range(2)]
    with database.write() as session:  # a column of an index: so it lies behind the second now
        session.execute(update(jobs.JOBS).where(jobs.C.id == held[0]).values(tag_due="failed"))

    def end_both(session: Session) -> None:
        _touch(session, held[0])
        ready.set()
        while not is_one_blocked(database):
            pass
        _touch(session, held[1])

    def beat(session: Session) -> None:
        assert ready.wait(20)
        session.execute(text("SET LOCAL enable_indexscan = off"))  # as a planner may choose
        workers.beat(session, held, a_worker().id, leased_until=EVEN_LATER)

    ready = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(_within, database, act) for act in (end_both, beat)]:
            one.result()
    assert {instant(database, job, "leased_until") for job in held} == {EVEN_LATER}


def _within(database: Database, act: Callable[[Session], object]) -> None:
    with database.write() as session:
        act(session)


def _touch(session: Session, job: JobId) -> None:
    session.execute(update(jobs.JOBS).where(jobs.C.id == job).values(losses=jobs.C.losses + 1))


def test_a_beat_for_what_another_has_since_claimed_changes_nothing(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session, "w1")
        assert moves.rescue(session, job, now=NOW) is not None
        assert claimed(session, worker="w2") is not None
        workers.beat(session, [job.id], "w1", leased_until=EVEN_LATER)
        assert workers.held(session, "w1", NOW) == {}
    assert instant(database, job.id, "leased_until") == LATER


def test_a_worker_is_told_of_each_job_that_is_its_own(database: Database) -> None:
    with database.write() as session:
        first = a_running_job(session, "w1")
        second = a_running_job(session, "w1", lock=BOBS_LOCK)
        a_running_job(session, "w2", lock="base:here")
        verdicts.cancel(session, second.id, now=NOW)
        held = workers.held(session, "w1", NOW)
    assert held == {
        first.id: Held(first.id, 1, is_cancelled=False, is_outranked=False),
        second.id: Held(second.id, 1, is_cancelled=True, is_outranked=False),
    }
    with database.read() as session:
        assert [job.id for job in workers.of(session, "w1")] == [first.id, second.id]
        assert workers.of(session, "w3") == []


def test_a_job_is_outranked_by_a_more_urgent_one_of_its_lock_that_is_due(
    database: Database,
) -> None:
    def is_outranked(session: Session) -> bool:
        return workers.held(session, "w1", NOW)[job.id].is_outranked

    with database.write() as session:
        job = a_running_job(session, "w1")
        a_job(session)
        a_job(session, priority=-10, lock=BOBS_LOCK)
        a_job(session, priority=-10, run_at=LATER)
        assert not is_outranked(session)
        assert workers.held(session, "w1", LATER)[job.id].is_outranked
        urgent = a_job(session, priority=-10)
        assert is_outranked(session)
        verdicts.cancel(session, urgent.id, now=NOW)
        assert not is_outranked(session)


def test_what_runs_is_listed_with_who_runs_it_and_until_when(database: Database) -> None:
    worker = a_worker(draining=True)
    with database.write() as session:
        workers.register(session, worker)
        known = a_running_job(session, worker.id)
        unknown = a_running_job(session, "gone", lock=FARS_LOCK, node=FAR)
        a_job(session)
        assert workers.running(session) == [(known, worker, LATER), (unknown, None, LATER)]


def test_a_paused_node_claims_nothing_and_what_runs_goes_on(database: Database) -> None:
    with database.write() as session:
        running = a_running_job(session)
        queued = a_job(session, lock=BOBS_LOCK)
        far = a_job(session, lock=FARS_LOCK, node=FAR)
        workers.pause(session, NODE, by="uid:0", now=NOW)
        assert claimed(session, BOBS_LOCK) is None
        assert claims.next_of(session, BOBS_LOCK, NOW) is None
        assert claims.due(session, NODE, NOW, limit=9) == []
        assert claims.due(session, FAR, NOW, limit=9) == [far.id]
        assert claimed(session, FARS_LOCK) is not None
        workers.beat(session, [running.id], "w1", leased_until=EVEN_LATER)
        finish(session, running)
        workers.resume(session, NODE)
        resumed = claimed(session, BOBS_LOCK)
    assert resumed is not None
    assert resumed.id == queued.id


def test_a_paused_node_ends_what_was_cancelled(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, GIVE_BACK, now=NOW, attempt=1)
        workers.pause(session, NODE, by="uid:0", now=NOW)
        assert claimed(session) is None
        verdicts.cancel(session, job.id, now=LATER)
        assert claims.due(session, NODE, LATER, limit=9) == [job.id]
        again = claimed(session)
    assert again is not None
    assert again.cancel_requested_at == LATER


def test_a_node_that_is_paused_twice_says_who_was_first(database: Database) -> None:
    with database.write() as session:
        workers.register(session, a_worker())
        workers.pause(session, NODE, by="uid:0", now=NOW)
        workers.pause(session, NODE, by="uid:1000", now=LATER)
        workers.register(session, a_worker(beat_at=LATER))
        assert workers.nodes(session) == [Node(NODE, LATER, NOW, "uid:0")]
        workers.resume(session, NODE)
        workers.resume(session, NODE)
        assert workers.nodes(session) == [Node(NODE, LATER, None, None)]
        workers.pause(session, NODE, by="uid:1000", now=LATER)
        assert workers.nodes(session) == [Node(NODE, LATER, LATER, "uid:1000")]


def test_a_node_that_nobody_has_seen_can_be_paused(database: Database) -> None:
    with database.write() as session:
        workers.pause(session, FAR, by="uid:0", now=NOW)
        workers.resume(session, NODE)
        assert workers.nodes(session) == [Node(FAR, None, NOW, "uid:0")]
        assert workers.nodes(session)[0].is_silent(NOW)


def test_of_siblings_only_so_many_run_at_once(database: Database) -> None:
    with database.write() as session:
        parent, siblings = a_family(session, 4, at_once=2)
        running = [claimed(session, sibling.lock) for sibling in siblings]
        assert [job is not None for job in running] == [True, True, False, False]
        assert claims.due(session, NODE, NOW, limit=9) == [parent.id]
        assert claims.next_of(session, siblings[3].lock, NOW) is None
        assert running[0] is not None
        finish(session, running[0])
        assert len(claims.due(session, NODE, NOW, limit=9)) == 3
        assert claimed(session, siblings[3].lock) is not None
        assert claimed(session, siblings[2].lock) is None


def test_a_sibling_that_may_not_run_yet_holds_up_nobody_else_of_its_lock(
    database: Database,
) -> None:
    with database.write() as session:
        parent, (first, second) = a_family(session, 2, at_once=1)
        behind = a_job(session, lock=second.lock)
        assert claimed(session, first.lock) is not None
        won = claimed(session, second.lock)
        assert jobs.children(session, parent.id) == [first.id, second.id]
    assert won is not None
    assert won.id == behind.id


def test_without_a_number_all_siblings_run_at_once(database: Database) -> None:
    with database.write() as session:
        _, siblings = a_family(session, 3, at_once=None)
        assert all(claimed(session, sibling.lock) for sibling in siblings)


def test_each_parent_has_a_number_of_its_own(database: Database) -> None:
    with database.write() as session:
        families = [a_family(session, 2, at_once=1)[1] for _ in range(2)]
        running = [claimed(session, job.lock) for siblings in families for job in siblings]
    assert [job is not None for job in running] == [True, False, True, False]


@pytest.mark.parametrize("number", [1, 3])
def test_of_siblings_that_are_claimed_at_once_only_so_many_run(
    database: Database, number: int
) -> None:
    """Each is in a lock of its own: on PostgreSQL no index stands between them."""
    with database.write() as session:
        parent, siblings = a_family(session, 8, at_once=number)
    won = claimed_at_once(database, [sibling.lock for sibling in siblings])
    assert len(won) == number
    with database.read() as session:
        live = [job for job in jobs.live(session) if job.parent_id == parent.id]
    assert len(live) == 8
    assert sum(job.state is JobState.RUNNING for job in live) == number
    assert sum(job.attempt for job in live) == number


def test_siblings_that_are_worked_off_by_many_never_exceed_their_number(
    database: Database,
) -> None:
    with database.write() as session:
        parent, siblings = a_family(session, 16, at_once=2)
    most: list[int] = []

    def run_those_of(number: int) -> None:
        left = siblings[number::8]
        while left:
            won = claimed_at_once(database, [left[0].lock])
            if not won:
                continue
            with database.read() as session:
                most.append(len(workers.running(session)))
            with database.write() as session:
                finish(session, won[0])
            left = left[1:]

    at_once(8, run_those_of)
    assert max(most) <= 2
    assert {found(database, JobId(job.id)).state for job in siblings} == {JobState.SUCCEEDED}
    assert found(database, parent.id).state is JobState.QUEUED


def test_a_pause_is_no_matter_of_the_lock(database: Database) -> None:
    """One lock, two nodes: what is held back here blocks nothing there."""
    with database.write() as session:
        a_job(session)
        far = a_job(session, node=FAR)
        workers.pause(session, NODE, by="uid:0", now=NOW)
        won = claimed(session, ALICES_LOCK)
    assert won is not None
    assert won.id == far.id


def test_an_urgent_job_that_cannot_be_claimed_makes_nobody_give_way(database: Database) -> None:
    """Or a build would give way at every look, to a job that waits for its siblings."""
    with database.write() as session:
        parent = a_job(session, lock="agent:here/p", at_once=1)
        sibling = a_job(session, lock="agent:here/bob", parent_id=parent.id)
        assert claimed(session, sibling.lock) is not None
        build = claimed(session, a_job(session).lock)
        assert build is not None
        a_job(session, priority=URGENT, parent_id=parent.id)
        assert not workers.held(session, "w1", NOW)[build.id].is_outranked
        moves.make(session, sibling.id, FINISH, now=NOW, attempt=1)
        assert workers.held(session, "w1", NOW)[build.id].is_outranked
