"""One attempt at a job, while it runs: what may halt it, from threads that do no work of it."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Final

from hive.adapters.clock import Clock
from hive.adapters.halt import Halt
from hive.domain.job import Job
from hive.domain.worker import BEAT, LEASE
from hive.errors import Halted, Reason
from hive.store.workers import Held

GRACE: Final = timedelta(seconds=10)
"""Between TERM and KILL of a program that is to end."""
STOP_BEFORE: Final = BEAT
"""So long before its lease ends a holder that could not beat stops itself."""

log = logging.getLogger("hive.attempt")


class Attempt:
    """It may go on while its lease holds and nobody has called it off."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self.job = job
        self.halt = Halt()
        self._clock = clock
        self._change = threading.Lock()
        self._yields = True
        self._is_cancelled = False
        self._is_drained = False
        self._holds_until = 0.0
        self.renewed(clock.monotonic())

    def renewed(self, asked_at: float) -> None:
        """The database has the lease; it counts from before it was asked."""
        self._holds_until = asked_at + (LEASE - STOP_BEFORE).total_seconds()

    def told(self, held: Held | None) -> None:
        """What its row says now; None: the row is not this worker's any more."""
        if held is None or held.attempt != self.job.attempt:
            self.stop(Reason.FENCED)
        elif held.is_cancelled:
            self._cancel()
        elif held.is_outranked:
            self._make_way()

    def stop(self, reason: Reason) -> None:
        if reason is Reason.DRAINED and self._is_drained:
            return  # said once; it is said again where the halt is cleared
        if self.halt.reason not in (reason, Reason.FENCED):
            log.info("attempt.halted job=%s reason=%s", self.job.id, reason.value)
        self._is_drained |= reason is Reason.DRAINED
        grace = timedelta(0) if reason is Reason.FENCED else GRACE
        self.halt.stop(reason, grace=grace)

    def check_lease(self) -> None:
        """Looks at no database, so that one which hangs cannot keep it from stopping in time."""
        if not self.has_lease:
            self.stop(Reason.FENCED)

    @property
    def has_lease(self) -> bool:
        return self._clock.monotonic() < self._holds_until

    def looking(self, *, firm: bool) -> None:
        """A step begins. Behind the first `firm` one, a more urgent job has to wait.

        Raises `Halted` when the attempt may not go on.
        """
        self.check_lease()
        with self._change:
            self.halt.check()
            self._yields = self._yields and not firm

    def going_back(self) -> None:
        """From here on only a drain or the fence halts it: the way back keeps its own deadlines.

        Raises `Halted` when it was fenced out meanwhile.
        """
        if self.halt.reason is Reason.FENCED:
            raise Halted(Reason.FENCED)
        with self._change:
            self._yields = False
            self._is_cancelled = True
            self.halt.clear()
        if self._is_drained:  # before, when something else had halted it, or nothing yet
            self.halt.stop(Reason.DRAINED, grace=GRACE)

    def _cancel(self) -> None:
        """Once: the row says so with every beat."""
        with self._change:
            if not self._is_cancelled:
                self._is_cancelled = True
                self.stop(Reason.CANCELLED)

    def _make_way(self) -> None:
        with self._change:
            if self._yields:
                self.stop(Reason.OUTRANKED)
