"""The clock, handed in so that tests need not wait: the only place where `time.sleep` is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol, TypeVar

T = TypeVar("T")
PART: Final = 16
"""A pause that grows is this part of what was waited."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, in UTC; may be stepped by the host."""
        ...

    def monotonic(self) -> float:
        """Seconds since no moment in particular; never goes back."""
        ...

    def sleep(self, duration: timedelta) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))


def wait_until(
    clock: Clock,
    condition: Callable[[], T | Literal[False] | None],
    within: timedelta,
    every: timedelta,
    at_first: timedelta | None = None,
) -> T | None:
    """What `condition` says once it is truthy, or None; it is asked once more at the deadline.

    With `at_first` the pauses grow from that to `every`, each a small part of what was waited: who
    waits for a moment hears at once, and who waits for hours does not ask all the time.
    """
    begun = clock.monotonic()
    deadline = begun + within.total_seconds()
    while not (value := condition()):
        now = clock.monotonic()
        left = deadline - now
        if left <= 0:
            return None
        pause = every if at_first is None else _grown(at_first, every, now - begun)
        # Never nothing at all: less than a microsecond is left when floats add up badly.
        clock.sleep(max(min(pause, timedelta(seconds=left)), timedelta.resolution))
    return value


def _grown(at_first: timedelta, most: timedelta, waited: float) -> timedelta:
    return min(max(at_first, timedelta(seconds=waited / PART)), most)
