"""The queue beside a model of it: whatever is done, in whatever order, it keeps its promises.

Hypothesis makes up the orders. An act does one thing to the store and the same to the model, and
says what has to come of it; after each, all rows and all events are compared with the model. What
many do at the same moment is tested in `test_store_*`.

All acts are one rule: of many rules Hypothesis leaves out about half in each example, and of a
queue in which nobody submits, or nobody claims, there is nothing to learn.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select
from typing_extensions import override

from hive.domain.event import Event
from hive.domain.job import (
    CANCELLED,
    CLAIM,
    ENDED,
    LIVE,
    LOSS_LIMIT,
    MOVES,
    RESTORE,
    RETRY,
    Job,
    JobId,
    JobState,
    NewJob,
    StepRecord,
    StepState,
    Trouble,
)
from hive.domain.names import NodeName
from hive.domain.worker import LEASE
from hive.errors import HiveError, IllegalMove, Refused, Transient
from hive.queue import ending
from hive.queue.ending import Cancelled, Ending, Failed, Finished, GivenBack, Parked
from hive.store import claims, events, jobs, moves, steps, verdicts, workers
from hive.store.session import Database, Session
from hive.store.tables import Base
from tests.contract.store_samples import NODE, NOW, new_job

T = TypeVar("T")
Q, R, W, S, F, C, D, X = JobState

FAR: Final = NodeName("elsewhere")
SERIES: Final = "deploy"
PARENTS_LOCK: Final = "reconcile:here"
LOCKS: Final = {"agent:here/alice": NODE, "agent:elsewhere/alice": FAR, PARENTS_LOCK: NODE}
WORKERS: Final = ("w1", "w2")
CROWD: Final = 6
"""So many live jobs are enough: the fewer they are, the more happens to each."""
FAILURE_LIMIT: Final = 3
FIRST_WAIT: Final = timedelta(seconds=15)
LONG: Final = timedelta(days=1)
BUILT: Final = StepRecord(0, "Built", StepState.APPLYING, "no such link", 0.0)
NOT_READY: Final = Trouble("not-ready", "nobody answers")
DOWN: Final = Transient("nobody answers", code="down")
BROKEN: Final = Refused("it cannot be built", code="build-failed")
ENDINGS: Final[tuple[Ending, ...]] = (
    Finished({}), Failed(DOWN), Failed(BROKEN), Failed(DOWN, switched=True),
    Cancelled(), Parked(), Parked(), Parked(), GivenBack(),
)  # fmt: skip
BY_KIND: Final = {f"job.{move.name.replace(' ', '-')}": move for move in MOVES}

QUICK: Final = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
SOAK: Final = settings(QUICK, max_examples=400, stateful_step_count=80)

at_most = some.sampled_from([1, 1, 2, None])
often, seldom = some.sampled_from([True, True, False]), some.sampled_from([True, False, False])


@dataclass(slots=True)
class Known:
    """What the model knows of one job: the part of its row that decides what may happen to it."""

    new: NewJob
    idempotency_key: str | None
    run_at: datetime | None
    state: JobState = Q
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    restoring: bool = False
    is_approved: bool = False
    is_cancelled: bool = False
    leased_until: datetime | None = None
    worker: str | None = None
    superseded_by: JobId | None = None
    tag_due: str | None = None
    error: str | None = None

    def goes(self, state: JobState) -> None:
        """What ends otherwise than well leaves something to do on the agent's host."""
        self.state = state
        if state is not R:
            self.worker = self.leased_until = None
        if state in ENDED - {S}:
            self.tag_due = state.value

    def as_row(self) -> dict[str, object]:
        return {
            "state": self.state,
            "attempt": self.attempt,
            "failures": self.failures,
            "losses": self.losses,
            "restoring": self.restoring,
            "approved_at": self.is_approved,
            "cancel_requested_at": self.is_cancelled,
            "finished_at": self.state in ENDED,
            "idempotency_key": self.idempotency_key,
            "run_at": self.run_at,
            "leased_until": self.leased_until,
            "worker": self.worker,
            "superseded_by": self.superseded_by,
            "tag_due": self.tag_due,
            "error": self.error,
        }


@dataclass(slots=True)
class Told:
    """What the events have said of one job so far."""

    state: JobState | None = None
    attempt: int = 0
    queued: int = 0  #: by a submit, or by a retry
    ended: int = 0


class Queue(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.now = NOW
        self.known: dict[JobId, Known] = {}
        self.attempts: list[Job] = []  #: every claim that ever was: most are over, and still write
        self.paused: set[NodeName] = set()
        self.told: defaultdict[JobId, Told] = defaultdict(Told)
        self.draw: Callable[..., Any]
        with database.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
        with database.read() as session:
            self.seen_upto = events.last(session)

    @initialize(at_once=at_most)
    def begin(self, at_once: int | None) -> None:
        self._submit(a_parent(at_once))

    @rule(data=some.data())
    def somebody_acts(self, data: some.DataObject) -> None:
        self.draw = data.draw
        act = data.draw(some.sampled_from(self._possible()))
        act()

    def _possible(self) -> list[Callable[[], None]]:
        """Each as often as it is worth."""
        acts = [self.claim] * 6 + [self.approve] + [self.time_passes] * 2
        acts += [self.cancel, self.deny, self.orphan, self.pause_or_resume, self.beat, self.rescue]
        if len(self._of(LIVE)) < CROWD:
            acts += [self.submit] * 6 + [self.submit_a_parent]
        if any(self._held()):
            acts += [self.end] * 4 + [self.lose] * 4 + [self.restore, self.cancel_what_runs]
        if any(self._of({W})):
            acts += [self.approve] * 4
        if any(self._zombies()):
            acts += [self.write_in_vain] * 2
        if any(self._of(ENDED)):
            acts += [self.retry] * 2
        return acts

    # What is asked for.

    def submit(self) -> None:
        lock = self.draw(some.sampled_from(sorted(LOCKS)))
        wait = self.draw(some.sampled_from([0, 0, 0, 20]))
        key = self.draw(some.sampled_from(["", "", "k1", "k2"]))
        parents = [job for job, known in self.known.items() if known.new.kind == "reconcile"]
        self._submit(
            new_job(
                lock=lock,
                node=LOCKS[lock],
                priority=self.draw(some.sampled_from([0, 0, -10])),
                run_at=self.now + timedelta(seconds=wait) if wait else None,
                unique_key=f"spawn {lock}" if self.draw(seldom) else None,
                idempotency_key=f"{key} {lock}" if key else None,
                series=SERIES if self.draw(some.booleans()) else None,
                parent_id=parents[-1] if self.draw(often) else None,
            )
        )

    def submit_a_parent(self) -> None:
        self._submit(a_parent(self.draw(at_most)))

    def retry(self) -> None:
        job, known = self._one_in(ENDED)
        with self._refused_unless(known.state in (F, C) and not self._is_doubled(known)):
            with self.database.write() as session:
                moves.retry(session, job, now=self.now)
            known.goes(Q)
            known.failures = known.losses = 0
            known.restoring = known.is_cancelled = False
            known.error = known.run_at = known.tag_due = None

    # Who works.

    def claim(self) -> None:
        """Where something can be claimed, if it can anywhere; half end as soon as they begin."""
        locks = [lock for lock in LOCKS if self._next_of(lock)] or list(LOCKS)
        job = self._claim(self._one_of(locks), self._one_of(WORKERS))
        if job is not None and self.draw(some.booleans()):
            self._end(job, self._one_of(ENDINGS))

    def beat(self) -> None:
        self._beat(self._one_of(WORKERS))

    def time_passes(self) -> None:
        """A while, or until the next one is due."""
        until = [self.now + timedelta(seconds=seconds) for seconds in (1, 31)]
        self.now = self._one_of(until + sorted(self._waits())[:1])

    def rescue(self) -> None:
        """Whose lease has lapsed is taken for gone, whether or not it is."""
        self._rescue(lambda until: until < self.now)

    def lose(self) -> None:
        """It is rescued, and claimed by another; the one that was gone writes all the same."""
        job = self._one_of(self._held())
        self._lose(job)
        self._claim(job.lock, WORKERS[job.worker == WORKERS[0]])
        self.now += timedelta(seconds=1)
        self._beat(f"{job.worker}")
        self._write_in_vain(job, self._one_of(ENDINGS))

    def end(self) -> None:
        self._end(self._one_of(self._held()), self._one_of(ENDINGS))

    def restore(self) -> None:
        self._restore(self._one_of(self._held()))

    def write_in_vain(self) -> None:
        """Who only thinks that it works."""
        self._write_in_vain(self._one_of(self._zombies()), self._one_of(ENDINGS))

    # Who decides.

    def cancel(self) -> None:
        self._cancel(*self._one_in(LIVE))

    def cancel_what_runs(self) -> None:
        self._cancel(*self._one_in({R}))

    def approve(self) -> None:
        job, known = self._one_in({W})
        with self._refused_unless(known.state is W):
            self._approve(job)

    def deny(self) -> None:
        job, known = self._one_in({W})
        is_withdrawn = self.draw(some.booleans())
        with self._refused_unless(known.state is W):
            with self.database.write() as session:
                if is_withdrawn:
                    verdicts.withdraw(session, job, now=self.now)
                else:
                    verdicts.deny(session, job, note="", now=self.now)
            known.goes(C if is_withdrawn else D)
            known.error = "withdrawn" if is_withdrawn else "denied"

    def orphan(self) -> None:
        job, known = self._one_in({Q, W})
        with self._refused_unless(known.state in (Q, W)):
            with self.database.write() as session:
                verdicts.orphan(session, job, error=NOT_READY, now=self.now)
            known.goes(F)
            known.error = NOT_READY.code

    def pause_or_resume(self) -> None:
        self._pause_or_resume(self._one_of([NODE, FAR]))

    # What is always so.

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        with self.database.read() as session:
            self._rows_are_as_known(session)
            self._who_runs_is_told_so(session)
            self._what_can_be_claimed_is_due(session)
            self._each_move_and_each_end_was_told_once(session)

    def _rows_are_as_known(self, session: Session) -> None:
        rows = {row.id: row for row in session.execute(select(jobs.JOBS))}
        assert rows.keys() == self.known.keys()
        for job, known in self.known.items():
            row = rows[job]._asdict()
            at = {name: row[name] is not None for name in row if name in HAPPENED}
            said = {**row, **at, "error": row["error"] and row["error"]["code"]}
            assert {name: said[name] for name in known.as_row()} == known.as_row()

    def _who_runs_is_told_so(self, session: Session) -> None:
        held = {worker: workers.held(session, worker, self.now) for worker in WORKERS}
        running = [job for of_worker in held.values() for job in of_worker]
        assert sorted(running) == self._of({R})
        assert max(Counter(self.known[job].new.lock for job in running).values(), default=0) <= 1
        for parent, count in Counter(self.known[job].new.parent_id for job in running).items():
            limit = None if parent is None else self.known[parent].new.at_once
            assert limit is None or count <= limit
        for worker, of_worker in held.items():
            for job, said in of_worker.items():
                known = self.known[job]
                assert (worker, said.attempt) == (known.worker, known.attempt)
                assert said.is_cancelled == known.is_cancelled
                assert said.is_outranked == self._is_outranked(known)

    def _what_can_be_claimed_is_due(self, session: Session) -> None:
        for node in (NODE, FAR):
            found = claims.due(session, node, self.now, limit=99)
            of_node = {lock for lock in LOCKS if LOCKS[lock] == node and self._next_of(lock)}
            assert sorted(self.known[job].new.lock for job in found) == sorted(of_node)

    def _each_move_and_each_end_was_told_once(self, session: Session) -> None:
        for event in events.behind(session, self.seen_upto):
            assert event.seq > self.seen_upto
            self.seen_upto = event.seq
            self._hear(event)
        for job, known in self.known.items():
            told = self.told[job]
            assert (told.state, told.attempt) == (known.state, known.attempt)
            assert told.ended == told.queued - (known.state in LIVE)

    @override
    def teardown(self) -> None:
        """With all workers gone, no pause, and time enough, everything comes to its end."""
        if sys.exc_info()[0] is not None:
            return  # it has failed already
        for node in sorted(self.paused):
            self._pause_or_resume(node)
        self._drain()
        assert all(known.state in ENDED | {W} for known in self.known.values())
        for job in self._of({W}):
            self._approve(job)
        self._drain()
        assert all(known.state in ENDED for known in self.known.values())
        self.all_is_as_the_model_says()

    def _drain(self) -> None:
        self.now += LONG
        self._rescue(lambda until: until < self.now)
        while claimed := [job for lock in LOCKS if (job := self._claim(lock, "w1"))]:
            for job in claimed:
                self._end(job, Finished({}))

    # What the store is asked, and the model beside it.

    def _submit(self, new: NewJob) -> None:
        equal = self._equal(new)
        with self.database.write() as session:
            job, is_new = jobs.submit(session, new, now=self.now)
            made_way = verdicts.supersede(session, job, now=self.now) if is_new else []
        assert is_new == (equal is None)
        if equal is not None:
            assert job.id == equal
            known = self.known[equal]
            known.idempotency_key = known.idempotency_key or new.idempotency_key
            if new.run_at is None and known.state is Q and known.attempt == 0:
                known.run_at = None  # asked for at once, it need not wait any more
            return
        assert job.id not in self.known
        self.known[job.id] = Known(new, new.idempotency_key, new.run_at)
        older = [one for one in self._of_series(new) if self.known[one].state is W]
        assert made_way == [one for one in older if not self.known[one].is_approved]
        for one in made_way:
            self._superseded(self.known[one], job.id)

    def _claim(self, lock: str, worker: str) -> Job | None:
        expected, until = self._next_of(lock), self.now + LEASE
        with self.database.write() as session:
            first = claims.next_of(session, lock, self.now)
            job = claims.claim(session, lock, worker=worker, now=self.now, leased_until=until)
        assert (first and first.id) == (job and job.id) == expected
        if job is not None:
            known = self.known[job.id]
            assert job.attempt == known.attempt + 1
            known.attempt, known.worker, known.leased_until = job.attempt, worker, until
            known.run_at = None
            known.goes(R)
            self.attempts.append(job)
        return job

    def _rescue(self, is_gone: Callable[[datetime], bool]) -> None:
        with self.database.read() as session:
            running = workers.running(session)
        gone = [job for job, _, until in running if until is None or is_gone(until)]
        held = [(job.id, self.known[job.id].leased_until) for job in self._held()]
        assert {job.id for job in gone} == {job for job, until in held if until and is_gone(until)}
        for job in gone:
            self._lose(job)

    def _lose(self, job: Job) -> None:
        with self.database.write() as session:
            job = jobs.find(session, job.id)
            assert moves.rescue(session, job, now=self.now) is not None
        known = self.known[job.id]
        known.losses += 1
        if known.losses >= LOSS_LIMIT:
            is_noted = known.restoring and known.losses == LOSS_LIMIT
            known.error = known.error if is_noted else moves.WORKER_LOST.code
            known.restoring = True
        known.goes(Q if known.losses <= LOSS_LIMIT else F)

    def _approve(self, job: JobId) -> None:
        with self.database.write() as session:
            verdicts.approve(session, job, by="uid:0", seen={}, now=self.now)
        known = self.known[job]
        known.goes(Q)
        known.is_approved = True

    def _cancel(self, job: JobId, known: Known) -> None:
        with self._refused_unless(known.state in LIVE):
            with self.database.write() as session:
                verdicts.cancel(session, job, now=self.now)
            known.is_cancelled = True
            if known.state is W or (known.state is Q and known.attempt == 0):
                known.goes(C)
                known.error = CANCELLED.code
            else:
                known.run_at = None

    def _pause_or_resume(self, node: NodeName) -> None:
        with self.database.write() as session:
            if node in self.paused:
                workers.resume(session, node)
            else:
                workers.pause(session, node, by="uid:0", now=self.now)
        self.paused ^= {node}

    def _restore(self, job: Job) -> None:
        with self.database.write() as session:
            moves.make(
                session, job.id, RESTORE, now=self.now, attempt=job.attempt,
                restoring=True, error=NOT_READY,
            )  # fmt: skip
        known = self.known[job.id]
        known.restoring, known.error = True, NOT_READY.code

    def _write_in_vain(self, job: Job, how: Ending) -> None:
        with self._refused_unless(False), self.database.write() as session:
            assert not steps.record(session, job.id, job.attempt, BUILT, started_at=self.now)
            assert moves.rescue(session, job, now=self.now) is None
            with pytest.raises(IllegalMove):
                moves.make(session, job.id, RESTORE, now=self.now, attempt=job.attempt)
            ending.write(session, job, how, failure_limit=FAILURE_LIMIT, now=self.now)

    def _beat(self, worker: str) -> None:
        """For all that it ever ran; only what is its own still is carried on."""
        ever = [job.id for job in self.attempts if job.worker == worker]
        with self.database.write() as session:
            workers.beat(session, ever, worker, leased_until=self.now + LEASE)
        for known in self.known.values():
            if known.worker == worker:
                known.leased_until = self.now + LEASE

    def _end(self, job: Job, how: Ending) -> None:
        known = self.known[job.id]
        if isinstance(how, Failed) and how.switched:
            self._restore(job)
        with self.database.write() as session:
            ended = ending.write(session, job, how, failure_limit=FAILURE_LIMIT, now=self.now)
        match how:
            case Finished():
                known.goes(S)
                known.error, known.restoring = None, False
            case Failed(error, switched):
                self._failed(job, error, ended, switched=switched)
            case Cancelled():
                known.goes(C)
                known.error = CANCELLED.code
            case Parked():
                self._parked(job, known)
            case GivenBack():
                known.goes(Q)

    def _failed(self, job: Job, error: HiveError, ended: Job, *, switched: bool) -> None:
        known = self.known[job.id]
        failures = known.failures + 1
        if switched or error is BROKEN or failures >= FAILURE_LIMIT:
            known.goes(F)
            known.error = error.code
            return
        known.goes(Q)
        if not known.is_cancelled:
            noted = job.error if job.restoring else None
            known.error = noted.code if noted else error.code
            known.failures, known.run_at = failures, ended.run_at
            wait = FIRST_WAIT * 2 ** (failures - 1)
            assert ended.run_at is not None
            assert wait <= ended.run_at - self.now <= wait * (1 + ending.JITTER)

    def _parked(self, job: Job, known: Known) -> None:
        newer = [one for one in self._of_series(known.new) if one > job.id]
        if known.is_cancelled:
            known.goes(Q)
        elif newer and not known.is_approved:
            self._superseded(known, max(newer))
        else:
            known.goes(W)
            known.error = None

    def _superseded(self, known: Known, by: JobId) -> None:
        known.goes(X)
        known.superseded_by = by

    def _hear(self, event: Event) -> None:
        assert event.job_id is not None
        told, state = self.told[event.job_id], JobState(event.data["state"])
        assert event.data["attempt"] == told.attempt + (event.kind == f"job.{CLAIM.name}")
        if event.kind == "job.submit":
            assert (told.state, state) == (None, Q)
        elif event.kind == "job.cancel-requested":
            assert told.state is state
        else:
            move = BY_KIND[event.kind]
            assert told.state in move.start
            assert state is move.end
        told.queued += event.kind in ("job.submit", f"job.{RETRY.name}")
        told.ended += state in ENDED
        told.state, told.attempt = state, event.data["attempt"]

    # What the model knows.

    def _of(self, states: Set[JobState]) -> list[JobId]:
        return [job for job, known in self.known.items() if known.state in states]

    def _one_in(self, states: Set[JobState]) -> tuple[JobId, Known]:
        """One of those that are so; where none is, any one."""
        job = self._one_of(self._of(states) or list(self.known))
        return job, self.known[job]

    def _one_of(self, several: Sequence[T]) -> T:
        one: T = self.draw(some.sampled_from(several))
        return one

    def _waits(self) -> list[datetime]:
        """When what is queued is due, of what is not yet."""
        queued = [self.known[job].run_at for job in self._of({Q})]
        return [run_at for run_at in queued if run_at and run_at > self.now]

    def _held(self) -> list[Job]:
        return [job for job in self.attempts if self._is_held(job)]

    def _zombies(self) -> list[Job]:
        return [job for job in self.attempts if not self._is_held(job)]

    def _is_held(self, job: Job) -> bool:
        known = self.known[job.id]
        return known.state is R and known.attempt == job.attempt

    def _running(self) -> list[tuple[Job, Known]]:
        return [(job, self.known[job.id]) for job in self._held()]

    def _of_series(self, new: NewJob) -> list[JobId]:
        """Those that have not ended."""
        return [
            job
            for job, known in self.known.items()
            if new.series is not None and known.new.series == new.series and known.state in LIVE
        ]

    def _equal(self, new: NewJob) -> JobId | None:
        """The job that this request is already."""
        of_key = [
            job
            for job, known in self.known.items()
            if new.idempotency_key is not None and known.idempotency_key == new.idempotency_key
        ]
        live = [
            job
            for job, known in self.known.items()
            if new.unique_key is not None
            and known.new.unique_key == new.unique_key
            and known.state in LIVE
        ]
        return next(iter(of_key + live), None)

    def _is_doubled(self, known: Known) -> bool:
        """Equal work is live."""
        return known.new.unique_key is not None and any(
            other.new.unique_key == known.new.unique_key and other.state in LIVE
            for other in self.known.values()
        )

    def _next_of(self, lock: str) -> JobId | None:
        """What stands first in this lock, if anything can be claimed there."""
        if any(k.new.lock == lock for _, k in self._running()):
            return None
        free = [
            (known.new.priority, job)
            for job, known in self.known.items()
            if known.new.lock == lock and self._is_free(known)
        ]
        return min(free)[1] if free else None

    def _is_free(self, known: Known) -> bool:
        """Only its lock could hold it back."""
        is_due = known.state is Q and (known.run_at is None or known.run_at <= self.now)
        may_begin = known.is_cancelled or known.new.node not in self.paused
        return is_due and may_begin and self._has_room(known)

    def _has_room(self, known: Known) -> bool:
        parent = known.new.parent_id
        limit = None if parent is None else self.known[parent].new.at_once
        return limit is None or limit > sum(k.new.parent_id == parent for _, k in self._running())

    def _is_outranked(self, known: Known) -> bool:
        return any(
            other.new.lock == known.new.lock
            and other.new.priority < known.new.priority
            and self._is_free(other)
            for other in self.known.values()
        )

    @contextmanager
    def _refused_unless(self, is_allowed: bool) -> Iterator[None]:
        """What is refused changes nothing."""
        if is_allowed:
            yield
            return
        with self._unchanged(), pytest.raises((IllegalMove, Refused)):
            yield

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        before = self._everything()
        yield
        assert self._everything() == before

    def _everything(self) -> list[object]:
        with self.database.read() as session:
            return [
                sorted(map(str, session.execute(select(table))))
                for table in Base.metadata.sorted_tables
            ]


HAPPENED: Final = ("approved_at", "cancel_requested_at", "finished_at")
"""Of these the model knows only whether."""


def a_parent(at_once: int | None) -> NewJob:
    return new_job(kind="reconcile", agent=None, lock=PARENTS_LOCK, at_once=at_once)


def run(database: Database, how: settings) -> None:
    run_state_machine_as_test(lambda: Queue(database), settings=how)  # type: ignore[arg-type]  # what makes one will do


def test_the_queue_does_what_its_model_does(database: Database) -> None:
    run(database, QUICK)


@pytest.mark.soak
def test_the_queue_does_what_its_model_does_for_long(database: Database) -> None:
    run(database, SOAK)
