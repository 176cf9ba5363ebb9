"""The clock, handed in so that tests need not wait: the only place where `time.sleep` is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")


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
) -> T | None:
    """What `condition` says once it is truthy, or None; it is asked once more at the deadline."""
    deadline = clock.monotonic() + within.total_seconds()
    while not (value := condition()):
        left = deadline - clock.monotonic()
        if left <= 0:
            return None
        # Never nothing at all: less than a microsecond is left when floats add up badly.
        clock.sleep(max(min(every, timedelta(seconds=left)), timedelta.resolution))
    return value
