"""Beats: leases are renewed while attempts run, and what their rows say is carried back to them."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final, Self

from hive.domain.job import JobId
from hive.domain.worker import BEAT, LEASE, Role, Worker
from hive.errors import HiveError
from hive.queue.attempt import Attempt
from hive.queue.host import Host
from hive.store import workers
from hive.store.session import Session

LOOK: Final = timedelta(seconds=1)
"""How often the rows of running jobs are read: a cancel is seen this soon."""
STUCK: Final = timedelta(seconds=30)
"""A program so long past its own deadline hangs before its exec, where nothing else ends it."""

log = logging.getLogger("hive.heart")


class Heart:
    """Of one process: two threads, which end with it.

    One speaks with the database, and may hang there. The other only looks at the clock, so that
    an attempt whose lease cannot be renewed is stopped before it ends.
    """

    def __init__(self, host: Host, role: Role, *, concurrency: int = 1) -> None:
        now = host.clock.now()
        self._host = host
        self._attempts: dict[JobId, Attempt] = {}
        self._change = threading.Condition()
        self._is_over = self._is_woken = False
        self._threads: list[threading.Thread] = []
        self._beaten_at = host.clock.monotonic()
        self._is_registered = False
        self.turned_at = host.clock.monotonic()
        """When it last went round, by the monotonic clock."""
        self._worker = Worker(host.process, role, host.version, concurrency, False, now, now)

    @property
    def worker(self) -> Worker:
        """This process, as it is registered right now."""
        return replace(self._worker, beat_at=self._host.clock.now())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._is_over = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    def start(self) -> None:
        """Beat from now on, with or without attempts."""
        with self._change:
            if not self._threads:
                for name, run in (("hive-heart", self._run), ("hive-guard", self._guard)):
                    self._threads.append(threading.Thread(target=run, name=name, daemon=True))
                for thread in self._threads:
                    thread.start()

    def drain(self) -> None:
        """From now on it says that it takes nothing new."""
        self._worker = replace(self._worker, draining=True)
        self.wake()

    def wake(self) -> None:
        """Beat now, not only when it is time."""
        with self._change:
            self._beaten_at = float("-inf")
            self._is_woken = True
            self._change.notify_all()

    def register(self, session: Session) -> None:
        """Who claims is known: its pid tells others when it is gone."""
        if not self._is_registered:
            workers.register(session, self.worker)
            self._is_registered = True

    def leave(self) -> None:
        """It is not there any more. Where that cannot be written, its pid tells.

        So it does of a job that is left running: only who is known by its pid frees it at once.
        """
        if self._is_registered:
            try:
                with self._host.database.progress() as session:
                    workers.leave_idle(session, self._host.worker)
            except HiveError as error:
                log.warning("worker.not-unregistered because=%s", error.message)

    @contextmanager
    def keeps(self, attempt: Attempt) -> Iterator[None]:
        """The attempt's lease is renewed as long as it runs."""
        self.start()
        with self._change:
            self._attempts[attempt.job.id] = attempt
        try:
            yield
        finally:
            with self._change:
                del self._attempts[attempt.job.id]

    def attempts(self) -> list[Attempt]:
        with self._change:
            return list(self._attempts.values())

    def _run(self) -> None:
        while self._has_waited():
            self.turned_at = self._host.clock.monotonic()
            try:
                self._beat()
            except HiveError as error:
                log.warning("heart.missed because=%s", error.message)

    def _guard(self) -> None:
        while self._is_on(LOOK):
            for attempt in self.attempts():
                attempt.check_lease()
                past = attempt.halt.overdue()
                if past is not None and past > STUCK:
                    log.error("heart.stuck job=%s past=%s", attempt.job.id, past)
                    os.kill(os.getpid(), signal.SIGKILL)

    def _has_waited(self) -> bool:
        """Until it is time to look again, or somebody wakes it; False when it is over."""
        with self._change:
            self._change.wait_for(
                lambda: self._is_over or self._is_woken, timeout=LOOK.total_seconds()
            )
            self._is_woken = False
            return not self._is_over

    def _is_on(self, after: timedelta) -> bool:
        with self._change:
            return not self._change.wait_for(lambda: self._is_over, timeout=after.total_seconds())

    def _beat(self) -> None:
        """A lease counts from before the database was asked: an answer may be late."""
        attempts, since = self.attempts(), self._host.clock.monotonic()
        is_time = since - self._beaten_at >= (BEAT - LOOK / 2).total_seconds()
        if is_time and (attempts or self._worker.role is not Role.COMMAND):
            self._renew(attempts)
            self._beaten_at = since
        if attempts:
            self._carry_back(attempts)
        if is_time:
            for attempt in attempts:
                attempt.renewed(since)

    def _renew(self, attempts: list[Attempt]) -> None:
        host, worker = self._host, self.worker
        with host.database.progress() as session:
            workers.register(session, worker)
            if attempts:
                ids = [attempt.job.id for attempt in attempts]
                until = worker.beat_at + LEASE
                workers.beat(session, ids, worker.id, leased_until=until)

    def _carry_back(self, attempts: list[Attempt]) -> None:
        host = self._host
        with host.database.read() as session:
            held = workers.held(session, host.worker, host.clock.now())
        for attempt in attempts:
            attempt.told(held.get(attempt.job.id))
