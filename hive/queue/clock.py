"""The time of a fleet is its database's: hosts may disagree, and be stepped."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import Final

from hive.adapters.clock import Clock
from hive.errors import HiveError
from hive.store import session as store
from hive.store.session import Database

ASKED_EVERY: Final = timedelta(minutes=1)

log = logging.getLogger("hive.clock")


class DatabaseClock:
    """Another clock, whose `now` is the database's: asked now and then, and counted on from there.

    Counted by the monotonic clock, so that a step of this host's time moves nothing. One thread at
    a time asks, and seldom, whether it is answered or not: the others go on with what was said.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._said: tuple[datetime, float] | None = None
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    def now(self) -> datetime:
        if self._is_time() and self._asking.acquire(blocking=False):
            try:
                self._asked_at = self._clock.monotonic()
                self._said = self._asked() or self._said
            finally:
                self._asking.release()
        said = self._said
        if said is None:
            return self._clock.now()
        return said[0] + timedelta(seconds=self._clock.monotonic() - said[1])

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, duration: timedelta) -> None:
        self._clock.sleep(duration)

    def _is_time(self) -> bool:
        since = self._clock.monotonic() - self._asked_at
        return self._said is None or since > ASKED_EVERY.total_seconds()

    def _asked(self) -> tuple[datetime, float] | None:
        try:
            with self._database.read() as session:
                now = store.now(session)
            return now, self._clock.monotonic()
        except HiveError as error:
            log.warning("clock.not-asked because=%s", error.message)
            return None
