"""How an attempt is halted from another thread: its program, its waits, its next step.

Whoever beats for the job calls `stop`; the attempt's own thread finds out by `Halted`, raised at
the door, in its clock's sleep, or where it calls `check`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from hive.adapters.clock import Clock, SystemClock
from hive.adapters.processes import end_session, term_session, wait_for_session
from hive.errors import Halted, Reason


class Halt:
    """Stops what one attempt's thread does, from any other thread."""

    def __init__(self) -> None:
        # Its lock may be taken again by its holder: a signal's handler may call `stop` anywhere.
        self._changed = threading.Condition()
        self._reason: Reason | None = None
        self._kill_at = math.inf
        self._programs: list[Program] = []

    @property
    def reason(self) -> Reason | None:
        return self._reason

    def stop(self, reason: Reason, *, grace: timedelta) -> None:
        """TERM what runs, KILL it after `grace`, let nothing start. Does not wait for any of it.

        The first reason stays, and so does the earliest end; but FENCED overrides every other
        reason, and kills at once: another attempt may be at work already.
        """
        is_fenced = reason is Reason.FENCED
        kill_at = time.monotonic() + (0.0 if is_fenced else grace.total_seconds())
        with self._changed:
            if is_fenced or self._reason is None:
                self._reason = reason
            self._kill_at = min(self._kill_at, kill_at)
            self._changed.notify_all()
            for program in self._programs:
                program.end(self._kill_at)

    def clear(self) -> None:
        """Programs may run again, for the way back, until the next `stop`.

        Not after FENCED, which may come while the way back begins: it is the other attempt's.
        """
        with self._changed:
            if self._reason is not Reason.FENCED:
                self._reason, self._kill_at = None, math.inf

    def check(self) -> None:
        """Raises `Halted` once stopped."""
        reason = self._reason
        if reason is not None:
            raise Halted(reason)

    def wait(self, duration: timedelta) -> None:
        """Does nothing for so long; raises `Halted` as soon as stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._reason is not None, duration.total_seconds())
        self.check()

    def overdue(self) -> timedelta | None:
        """How long a program that runs, or is being started, is past its deadline, if it is.

        Takes no lock: it is asked about threads that may hang.
        """
        late = time.monotonic() - min((one.due for one in tuple(self._programs)), default=math.inf)
        return timedelta(seconds=late) if late > 0 else None

    @contextmanager
    def program(self, within: timedelta) -> Iterator[Program]:
        """Around a program, from before its fork until it is reaped; raises `Halted` at once."""
        program = Program(self._changed, within)
        with self._changed:
            self.check()
            self._programs.append(program)
        try:
            yield program
        finally:
            with self._changed:
                self._programs.remove(program)


class Program:
    """One program of the door, which its halt may end."""

    def __init__(self, lock: threading.Condition, within: timedelta) -> None:
        self.due = time.monotonic() + within.total_seconds()
        self._lock = lock  # held to signal, and to say that there is nothing to signal any more
        self._session: int | None = None
        self._kill_at = math.inf
        self._timer: threading.Timer | None = None

    @contextmanager
    def leading(self, session: int) -> Iterator[None]:
        """Around the wait for its exit. It must stay unreaped, or its number may be a stranger's.

        When told to end, its session is gone at the end of this, or at least killed: a child that
        ignored the TERM would keep the locks of the job. Each has until the end of the grace.
        """
        try:
            with self._lock:
                self._session = session
                self._signal()
            yield
        finally:
            if self._timer is not None:
                wait_for_session(session, self._kill_at - time.monotonic())
            self._forget()

    def end(self, kill_at: float) -> None:
        """Now, or as soon as it is known. `kill_at` is by `time.monotonic`; the earliest stays."""
        with self._lock:
            if kill_at < self._kill_at:
                self._kill_at = kill_at
                self._signal()

    def _signal(self) -> None:
        """At most one TERM: many programs take a second one as leave to clean up nothing."""
        left = self._kill_at - time.monotonic()
        if self._session is None or left == math.inf:
            return
        if left <= 0:
            end_session(self._session)
        else:
            was_asked = self._set_timer(left)
            if not was_asked:
                term_session(self._session)

    def _set_timer(self, left: float) -> bool:
        """Instead of the one before, if there was one."""
        before, self._timer = self._timer, threading.Timer(left, self._kill)
        self._timer.daemon = True
        self._timer.start()
        if before is not None:
            before.cancel()
        return before is not None

    def _kill(self) -> None:
        with self._lock:
            if self._session is not None:
                end_session(self._session)

    def _forget(self) -> None:
        with self._lock:
            if self._kill_at < math.inf:
                self._kill()
            self._session = None
            if self._timer is not None:
                self._timer.cancel()


class HaltingClock:
    """Another clock, whose sleeps are the attempt's: a halt ends them.

    Only the system's are cut short. Those of a fake take no time, and it must hear of them.
    """

    def __init__(self, halt: Halt, clock: Clock | None = None) -> None:
        self._halt = halt
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, duration: timedelta) -> None:
        """Raises `Halted` when stopped before, or as soon as stopped."""
        self._halt.check()
        if isinstance(self._clock, SystemClock):
            self._halt.wait(duration)
        else:
            self._clock.sleep(duration)
            self._halt.check()
