"""Looks at the database itself: for what was never rung, and for a broker that is not there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hive.domain.job import JobId
from hive.errors import HiveError
from hive.queue.dispatch import LocalBell
from hive.queue.host import Host
from hive.store import claims

LOOK: Final = timedelta(milliseconds=20)
"""Where a look costs microseconds: SQLite tells whether anybody has written."""
ASK: Final = timedelta(milliseconds=250)
"""Where it is a question to a server, and nobody else rings."""
BESIDE_REDIS: Final = timedelta(seconds=2)
AT_LEAST: Final = timedelta(seconds=1)
"""Also where nothing was written: a wait may have ended."""

log = logging.getLogger("hive.watch")


class Watch:
    """Rings in this process for what is due on its node, as far as it has room."""

    def __init__(
        self, host: Host, bell: LocalBell, has_broker: bool, free: Callable[[], int]
    ) -> None:
        self._host = host
        self._bell = bell
        self._free = free
        self._changes = host.database.changes()
        self._every = LOOK if self._changes else ASK
        seldom = BESIDE_REDIS if has_broker else AT_LEAST if self._changes else ASK
        self._at_most = seldom.total_seconds()
        self._looked_at = self._missed_at = float("-inf")
        self._missed = threading.Event()
        self._is_behind = True
        """Somebody has written since all that was due was rung for."""
        self._due: set[JobId] = set()
        self._stuck = 0

    def missed(self) -> None:
        """A bell was answered, and nothing could be done: it is looked at again in a moment.

        A lock that was just let go may be busy for the moment between the fork and the exec of
        another thread's program.
        """
        self._missed.set()

    def run(self, over: threading.Event) -> None:
        """Until `over`. A database that does not answer is asked again after a moment."""
        while not over.is_set():
            if self._missed.wait(min(self._every, ASK).total_seconds()):
                self._rest(over)
            try:
                self._look()
            except HiveError as error:
                log.warning("watch.missed because=%s", error.message)
                over.wait(AT_LEAST.total_seconds())

    def _rest(self, over: threading.Event) -> None:
        """A lock that stays busy is not asked for all the time."""
        now = self._host.clock.monotonic()
        often = now - self._missed_at < AT_LEAST.total_seconds()
        over.wait((AT_LEAST / 2 if often else LOOK).total_seconds())
        self._missed_at = now
        self._missed.clear()
        self._is_behind = True

    def _look(self) -> None:
        now = self._host.clock.monotonic()
        if now - self._looked_at >= self._at_most or self._has_changed():
            self._is_behind = True
        room = self._free()
        if self._is_behind and room:
            self._looked_at = now
            self._is_behind = self._rung(room) == room

    def _has_changed(self) -> bool:
        return self._changes is not None and self._changes.seen()

    def _rung(self, room: int) -> int:
        """How many more were rung for than those that were due at the last look too.

        These may be stuck, behind a lock that is held: they keep nobody behind them waiting.
        """
        host = self._host
        with host.database.read() as session:
            due = claims.due(session, host.node, host.clock.now(), limit=room + self._stuck)
        for job in due:
            self._bell.ring(host.node, job)
        self._stuck, self._due = len(self._due.intersection(due)), set(due)
        return len(due) - self._stuck
