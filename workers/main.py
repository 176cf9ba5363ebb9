"""The supervisor around `dramatiq.Worker`: it answers the bell, and stops when it is told to."""

from __future__ import annotations

import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dramatiq import Broker, Worker

from hive.adapters.clock import wait_until
from hive.domain.job import JobId, JobState
from hive.domain.worker import Role
from hive.errors import HiveError, NotFound, Reason
from hive.queue.attempt import GRACE
from hive.queue.dispatch import LocalBell, redis_broker
from hive.queue.heartbeat import LOOK, Heart
from hive.queue.host import Host
from hive.queue.turns import Turns
from hive.queue.work import work_off
from hive.store import jobs
from workers import health
from workers.maintenance import Maintenance, chores_of, rescue_of
from workers.watch import Watch

if TYPE_CHECKING:
    from types import FrameType

IDLE: Final = 250  #: milliseconds for which a thread of Dramatiq waits; what comes wakes it
HUNG: Final = 10 * LOOK
"""A heart that has not turned for so long: the watchdog is not told that all is well."""
REMEMBERED: Final = 10_000
SEE: Final = timedelta(milliseconds=50)
"""How often one that drains looks whether all has come to rest."""
AFTER_KILL: Final = timedelta(seconds=10)
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
STOPPED: Final = 2_000  #: milliseconds for Dramatiq's own threads to end

Beside = Callable[[threading.Event], None]
"""What runs in a thread of its own, until the event."""

log = logging.getLogger("hive.worker")


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator chose for one worker."""

    role: Role
    concurrency: int
    drain: timedelta
    redis_url: str | None


class Slots:
    """So many jobs may run at once, whichever broker they were rung by."""

    def __init__(self, count: int) -> None:
        self._change = threading.Condition()
        self.free = count

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: self.free > 0)
            self.free -= 1
        try:
            yield
        finally:
            with self._change:
                self.free += 1
                self._change.notify()


class Supervisor:
    """One worker process. `run` returns when a signal has ended it, and everything is put down."""

    def __init__(self, host: Host, choices: Choices, beside: Sequence[Beside] = ()) -> None:
        """Each of `beside` runs in a thread of its own until the worker has put down its jobs."""
        self._choices = choices
        self._besides = beside
        self._local = LocalBell(host.node, self._answer)
        self.host = replace(host, bell=self._local) if choices.redis_url is None else host
        self.heart = Heart(self.host, choices.role, concurrency=choices.concurrency)
        self.dropped: Counter[str] = Counter()
        self._slots = Slots(choices.concurrency)
        self._done: dict[int, bool] = {}
        """Jobs that this process took up without their bell, which is still to come."""
        has_broker = choices.redis_url is not None
        self._watch = Watch(self.host, self._local, has_broker, lambda: self._slots.free)
        self._over = threading.Event()
        self._turns = Turns(self.host, self.heart, lambda: not self._over.is_set())
        self._is_hurried = threading.Event()

    def run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(until_signalled(self.stop))
            stack.enter_context(self.heart)
            stack.enter_context(self._turns)
            self._register()
            for broker in self._brokers():
                stack.enter_context(self._listening(broker))
            over = threading.Event()
            stack.enter_context(_beside(self._maintenance().run, over))
            stack.enter_context(_beside(self._watch.run, over))
            for run in self._besides:
                stack.enter_context(_beside(run, over))
            health.notify(health.READY)
            log.info(
                "worker.ready node=%s concurrency=%s", self.host.node, self._choices.concurrency
            )
            self._wait()
            self._drain()
        self.heart.leave()
        log.info("worker.stopped dropped=%s", dict(self.dropped))

    def stop(self) -> None:
        """Asked once it drains; asked again it hurries."""
        if self._over.is_set():
            self._is_hurried.set()
        self._over.set()

    def _answer(self, said: object) -> None:
        """Somebody rang. What is not there, is over, or is elsewhere is dropped and counted."""
        if self._over.is_set() or type(said) is not int:
            self.dropped["draining" if self._over.is_set() else "not-a-job"] += 1
            return
        if self._done.pop(said, False):  # by who ended the one before it in its lock
            self.dropped["done"] += 1
            return
        with self._slots.one():
            try:
                self._work(JobId(said))
            except HiveError as error:
                log.warning("job.not-worked job=%s because=%s", said, error.message)

    def _work(self, job_id: JobId) -> None:
        lock = self._lock_of(job_id)
        if lock is not None and not self._worked_off(lock, job_id):
            self._watch.missed()

    def _worked_off(self, lock: str, rung: JobId) -> int:
        def tell(job: JobId) -> None:
            if job != rung:
                self._done[job] = True
                if len(self._done) > REMEMBERED:
                    self._done.pop(next(iter(self._done)), None)

        return work_off(self.host, self.heart, lock, turns=self._turns, tell=tell)

    def _lock_of(self, job_id: JobId) -> str | None:
        try:
            with self.host.database.read() as session:
                job = jobs.find(session, job_id)
        except NotFound:
            self.dropped["unknown"] += 1
            return None
        if job.node != self.host.node:
            self.dropped["elsewhere"] += 1
        elif job.state is not JobState.QUEUED:
            self.dropped["not-queued"] += 1
        else:
            return job.lock
        return None

    def _register(self) -> None:
        with self.host.database.write() as session:
            self.heart.register(session)
        self.heart.start()

    def _brokers(self) -> list[Broker]:
        """Always the one in this process: what Redis does not say, the watch does."""
        brokers: list[Broker] = [self._local.broker]
        if self._choices.redis_url is not None:
            brokers.append(redis_broker(self._choices.redis_url, self.host.node, self._answer))
        return brokers

    @contextmanager
    def _listening(self, broker: Broker) -> Iterator[None]:
        threads = self._choices.concurrency
        worker = Worker(broker, worker_timeout=IDLE, worker_threads=threads)
        worker.queue_prefetch = threads  # more would be kept from a worker that is idle
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=STOPPED)

    def _maintenance(self) -> Maintenance:
        does_all = self._choices.role is Role.UP
        return Maintenance(self.host, chores_of(self.host) if does_all else (rescue_of(self.host),))

    def _wait(self) -> None:
        while not self._over.wait(LOOK.total_seconds()):
            if self.host.clock.monotonic() - self.heart.turned_at < HUNG.total_seconds():
                health.notify(health.ALIVE)

    def _drain(self) -> None:
        """What runs may end by itself for a while; then it is given back, and costs no failure."""
        health.notify(health.STOPPING)
        self.heart.drain()
        log.info("worker.draining jobs=%s", len(self.heart.attempts()))
        clock, ends = self.host.clock, GRACE + AFTER_KILL
        wait_until(
            clock, lambda: self._rests or self._is_hurried.is_set(), self._choices.drain, SEE
        )
        if not wait_until(clock, self._is_let_go, ends, SEE):
            log.error("worker.left jobs=%s", [one.job.id for one in self.heart.attempts()])

    def _is_let_go(self) -> bool:
        """Each time anew: a job that was claimed in the moment of the stop begins after it."""
        for attempt in self.heart.attempts():
            attempt.stop(Reason.DRAINED)
        return self._rests

    @property
    def _rests(self) -> bool:
        return self._slots.free == self._choices.concurrency


def keep_house(host: Host, chores: Maintenance) -> None:
    """`hive maintenance`: the chores, until a signal."""
    with until_signalled() as over, Heart(host, Role.MAINTENANCE) as heart:
        with host.database.write() as session:
            heart.register(session)
        heart.start()
        health.notify(health.READY)
        chores.run(over, turned=lambda: health.notify(health.ALIVE))
        health.notify(health.STOPPING)
        heart.leave()


@contextmanager
def until_signalled(also: Callable[[], object] = bool) -> Iterator[threading.Event]:
    """Set by SIGTERM or SIGINT, at each of which `also` is called."""
    over = threading.Event()

    def heard(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        also()
        over.set()

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _beside(run: Beside, over: threading.Event) -> Iterator[None]:
    """`run` in a thread of its own, until what is inside has ended."""
    thread = threading.Thread(target=run, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
