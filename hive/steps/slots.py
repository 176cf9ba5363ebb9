"""So many at once on this host: builds, which fill its memory, and starts, which time out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from hive.adapters.clock import wait_until
from hive.adapters.locks import Lock
from hive.adapters.world import World
from hive.errors import Transient

PATIENCE: Final = timedelta(hours=4)
AT_FIRST: Final = timedelta(milliseconds=5)
OFTEN: Final = timedelta(milliseconds=100)
"""A start may wait for a moment only; a build waits for minutes."""


@contextmanager
def slot(world: World, what: str, count: int) -> Iterator[None]:
    """One of `count`, whichever process has the others; waits for one that is free.

    Each is a lock of the host: what a killed worker left running keeps its slot until it ends.
    """

    def taken() -> Lock | None:
        for number in range(count):
            path = world.layout.slot(what, number)
            if lock := world.locks.take(path, note_children=False):
                return lock
        return None

    lock = wait_until(world.clock, taken, within=PATIENCE, every=OFTEN, at_first=AT_FIRST)
    if lock is None:
        raise Transient(
            f"{count} are at it already, since {PATIENCE}",
            code="host-busy",
            hint=f"see who holds {world.layout.locks}/{what}-*",
        )
    with lock:
        yield
