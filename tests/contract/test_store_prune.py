"""What old jobs leave behind is taken away; their rows stay."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, insert, select

from hive.domain.job import FAIL, FINISH, Job, JobId, StepRecord, StepState
from hive.domain.names import AgentName, NodeName
from hive.queue.prune import IDLE_KEPT, KEPT, LAST, OldRows, Prune
from hive.store import events, jobs, logs, moves, prune, steps
from hive.store.logs import NewLine
from hive.store.session import Database, Session
from hive.store.tables import LogCutRow
from tests.contract.store_samples import (
    BOB,
    NOW,
    ON_POSTGRES,
    a_job,
    a_running_job,
    at_once,
    beside,
    claimed,
    found,
    row,
)

LONG_AGO = NOW - timedelta(days=40)
BEFORE = NOW - KEPT
BUILT = StepRecord(0, "Built", StepState.APPLIED, "it is linked", 0.5)
CUTS = cast(Table, LogCutRow.__table__)


def an_ended_job(session: Session, at: datetime = LONG_AGO, **overrides: object) -> Job:
    """With a step, a line and a cut."""
    job = a_running_job(session, **overrides)  # type: ignore[arg-type]  # a test knows its fields
    steps.record(session, job.id, 1, BUILT, started_at=at)
    logs.append(session, [NewLine(job.id, 1, "Built", "stdout", at, "a line")])
    session.execute(insert(CUTS).values({**dict.fromkeys(CUTS.c.keys(), 1), "job_id": job.id}))
    return moves.make(session, job.id, FINISH, now=at, attempt=1)


def left_of(database: Database, job: JobId) -> list[int]:
    """How many steps, lines and cuts it has."""
    with database.read() as session:
        cuts = session.execute(select(CUTS).where(CUTS.c.job_id == job)).all()
        return [len(steps.of(session, job)), len(logs.of(session, job)), len(cuts)]


ALL, NOTHING = [1, 1, 1], [0, 0, 0]


def stripped(database: Database, *, last: int = 1, limit: int = 100) -> int:
    with database.write() as session:
        return prune.strip_jobs(session, before=BEFORE, last=last, limit=limit)


def test_of_an_old_job_only_the_row_is_left(database: Database) -> None:
    with database.write() as session:
        old, newer = an_ended_job(session), a_job(session)
    assert stripped(database) == 1
    assert left_of(database, old.id) == NOTHING
    assert found(database, old.id) == old
    assert found(database, newer.id) == newer
    assert row(database, old.id)["pruned"]
    assert not row(database, newer.id)["pruned"]


def test_what_was_stripped_is_not_looked_at_again(database: Database) -> None:
    with database.write() as session:
        an_ended_job(session)
        a_job(session)
    assert [stripped(database), stripped(database)] == [1, 0]


def test_a_job_that_ended_lately_keeps_all(database: Database) -> None:
    with database.write() as session:
        late = an_ended_job(session, at=BEFORE)
        a_job(session)
    assert stripped(database) == 0
    assert left_of(database, late.id) == ALL


def test_a_job_that_has_not_ended_keeps_all(database: Database) -> None:
    with database.write() as session:
        running = a_running_job(session)
        logs.append(session, [NewLine(running.id, 1, "Built", "stdout", LONG_AGO, "a line")])
        a_job(session)
    assert stripped(database) == 0
    assert left_of(database, running.id) == [0, 1, 0]


def test_the_last_jobs_of_an_agent_keep_all_however_old(database: Database) -> None:
    with database.write() as session:
        ended = [an_ended_job(session).id for _ in range(4)]
        for _ in range(5):
            an_ended_job(session, agent=BOB)
    assert stripped(database, last=3) == 3
    kept = [job for job in ended if left_of(database, job) == ALL]
    assert kept == ended[1:]


def test_agents_of_one_name_on_two_nodes_are_two(database: Database) -> None:
    far = NodeName("elsewhere")
    with database.write() as session:
        here = an_ended_job(session)
        there = [an_ended_job(session, node=far, lock="base:elsewhere").id for _ in range(2)]
    assert stripped(database) == 1
    assert [left_of(database, job) for job in (here.id, *there)] == [ALL, NOTHING, ALL]


def test_a_job_of_no_agent_is_nobodys_last(database: Database) -> None:
    with database.write() as session:
        job = an_ended_job(session, agent=None, lock="base:here")
    assert stripped(database, last=20) == 1
    assert left_of(database, job.id) == NOTHING


def test_jobs_are_stripped_some_at_a_time_the_oldest_first(database: Database) -> None:
    with database.write() as session:
        ages = [LONG_AGO - timedelta(days=days) for days in (1, 3, 2)]
        ended = [an_ended_job(session, at=at).id for at in ages]
        a_job(session)
    assert stripped(database, limit=2) == 2
    assert [left_of(database, job) for job in ended] == [ALL, NOTHING, NOTHING]
    assert stripped(database, limit=2) == 1


def test_a_job_that_was_retried_meanwhile_is_not_stripped(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        moves.make(session, job.id, FAIL, now=LONG_AGO, attempt=1)
        a_job(session)
        moves.retry(session, job.id, now=NOW)
        assert claimed(session) is not None
        steps.record(session, job.id, 2, BUILT, started_at=NOW)
    assert stripped(database) == 0
    assert left_of(database, job.id) == [1, 0, 0]


@ON_POSTGRES
def test_a_job_that_is_retried_while_others_are_stripped_keeps_all(database: Database) -> None:
    with database.write() as session:
        job = a_running_job(session)
        steps.record(session, job.id, 1, BUILT, started_at=LONG_AGO)
        moves.make(session, job.id, FAIL, now=LONG_AGO, attempt=1)
        a_job(session)

    def strip(session: Session) -> int:
        return prune.strip_jobs(session, before=BEFORE, last=1, limit=9)

    assert beside(database, lambda session: moves.retry(session, job.id, now=NOW), strip) == 0
    assert left_of(database, job.id) == [1, 0, 0]
    assert not row(database, job.id)["pruned"]


def test_many_that_prune_at_once_leave_what_one_leaves(database: Database) -> None:
    with database.write() as session:
        ended = [an_ended_job(session).id for _ in range(6)]
    at_once(4, lambda _: stripped(database, last=2, limit=3))
    while stripped(database, last=2):
        pass
    assert [left_of(database, job) for job in ended] == [NOTHING] * 4 + [ALL] * 2


def an_idle_job(session: Session, at: datetime = LONG_AGO, **overrides: object) -> Job:
    """That changed nothing, unless the overrides say so."""
    said = {"changed": overrides.pop("changed", 0), "looked_at": 3}
    new = {"kind": "reconcile", "agent": None, "lock": "reconcile:here", **overrides}
    job = a_running_job(session, **new)  # type: ignore[arg-type]  # a test knows its fields
    steps.record(session, job.id, 1, BUILT, started_at=at)
    logs.append(session, [NewLine(job.id, 1, "Built", "stdout", at, "a line")])
    return moves.make(session, job.id, FINISH, now=at, attempt=1, result=said)


def forgotten(database: Database, limit: int = 100) -> list[JobId]:
    """Those of which not even the row is left."""
    with database.write() as session:
        before = {job.id for job in jobs.listed(session, limit=1000)}
        count = prune.forget_idle(session, before=NOW - IDLE_KEPT, limit=limit)
        gone = before - {job.id for job in jobs.listed(session, limit=1000)}
    assert len(gone) == count
    return sorted(gone)


def test_a_sweep_or_a_prune_that_changed_nothing_goes_with_all_it_had(database: Database) -> None:
    with database.write() as session:
        idle = [an_idle_job(session, kind=kind).id for kind in ("reconcile", "prune")]
    assert forgotten(database) == idle
    assert [left_of(database, job) for job in idle] == [NOTHING, NOTHING]
    assert forgotten(database) == []
    with database.read() as session:
        assert jobs.highest(session) == idle[-1], "its number is given to no other"


def a_tidy(session: Session, state: StepState = StepState.HELD, **overrides: object) -> Job:
    """One whose only step went so."""
    new = {"kind": "tidy", "agent": BOB, "lock": "agent:here/bob", **overrides}
    job = a_running_job(session, **new)  # type: ignore[arg-type]  # a test knows its fields
    step = StepRecord(0, "RootsKept", state, "", 0.5)
    steps.record(session, job.id, 1, step, started_at=LONG_AGO)
    return moves.make(session, job.id, FINISH, now=LONG_AGO, attempt=1, result={"agent": BOB})


def test_a_call_of_a_notifier_goes_and_a_tidy_where_all_was_tidy(database: Database) -> None:
    with database.write() as session:
        call = an_ended_job(session, kind="notify", agent=None, lock="notify:ntfy")
        idle = a_tidy(session)
        a_tidy(session, StepState.APPLIED)
        failed = a_running_job(session, kind="notify", agent=None, lock="notify:ntfy")
        moves.make(session, failed.id, FAIL, now=LONG_AGO, attempt=1)
    assert forgotten(database) == [call.id, idle.id]


def test_of_a_tidy_of_which_only_the_row_is_left_nobody_knows_what_it_did(
    database: Database,
) -> None:
    with database.write() as session:
        a_tidy(session, StepState.APPLIED)
        an_ended_job(session, agent=BOB, lock="agent:here/bob")
    while stripped(database):
        pass
    assert forgotten(database) == []


def test_one_that_changed_something_or_ended_lately_or_is_of_another_kind_stays(
    database: Database,
) -> None:
    with database.write() as session:
        an_idle_job(session, changed=1)
        an_idle_job(session, changed=None)
        an_idle_job(session, at=NOW - IDLE_KEPT)
        an_idle_job(session, kind="update-base")
        an_idle_job(session, kind="apply", changed={"packages": ["a"]})
        an_ended_job(session, kind="prune")
        failed = a_running_job(session, kind="reconcile")
        moves.make(session, failed.id, FAIL, now=LONG_AGO, attempt=1, result={"changed": 0})
        a_job(session, kind="reconcile")
    assert forgotten(database) == []


def test_one_that_another_job_names_or_a_key_was_given_to_stays(database: Database) -> None:
    with database.write() as session:
        parent, newer = an_idle_job(session), an_idle_job(session)
        an_idle_job(session, idempotency_key="timer-1")
        a_job(session, parent_id=parent.id)
        named = a_running_job(session, lock="base:here", worker="w2")
        moves.make(session, named.id, FAIL, now=NOW, attempt=1, superseded_by=newer.id)
    assert forgotten(database) == []


def test_they_go_some_at_a_time_the_oldest_first(database: Database) -> None:
    with database.write() as session:
        ages = [LONG_AGO - timedelta(days=days) for days in (1, 3, 2)]
        idle = [an_idle_job(session, at=at).id for at in ages]
    assert forgotten(database, limit=2) == [idle[1], idle[2]]
    assert forgotten(database, limit=2) == [idle[0]]


def test_a_look_says_what_would_go_and_takes_nothing(database: Database) -> None:
    with database.write() as session:
        job, idle = an_ended_job(session), an_idle_job(session)
        old = [an_ended_job(session, agent=BOB) for _ in range(LAST + 1)]
    past = OldRows(Prune(database))
    due = past.due(NOW)
    assert due == past.due(NOW) > 2
    assert [left_of(database, one.id) for one in (job, old[0])] == [ALL, ALL]
    assert found(database, idle.id) == idle
    turns: list[int] = []
    past.take_away(NOW, between=lambda: turns.append(1))
    assert past.taken > due, "a look is only as long as it must be"
    assert (past.due(NOW), len(turns)) == (0, 2), "what goes whole, and what keeps its row"
    assert left_of(database, old[0].id) == NOTHING


def test_the_chore_keeps_thirty_days_and_the_last_twenty(database: Database) -> None:
    with database.write() as session:
        old = [an_ended_job(session).id for _ in range(LAST + 2)]
    with database.write() as session:
        a_job(session, agent=AgentName("carol"), lock="base:here")
    assert (timedelta(days=30), 20) == (KEPT, LAST)
    tally = Prune(database).run_once(NOW)
    assert tally.pruned == 2
    assert [left_of(database, job) for job in old[:3]] == [NOTHING, NOTHING, ALL]
    with database.read() as session:
        left = events.behind(session)
    assert tally.forgotten > 0
    assert all(event.at >= BEFORE for event in left)
    assert Prune(database).run_once(NOW).is_nothing


def test_what_goes_whole_is_not_stripped_first(database: Database) -> None:
    """Where nothing was pruned for long: of a tidy that was stripped nobody knows what it did."""
    with database.write() as session:
        tidies = [a_tidy(session).id for _ in range(LAST + 2)]
    Prune(database).run_once(NOW)
    with database.read() as session:
        assert jobs.some(session, tidies) == []
