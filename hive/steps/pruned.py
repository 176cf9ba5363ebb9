"""The sentence about what is old in the database, which steps know by a port alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from hive.adapters.world import World
from hive.steps.step import Differs, Finding, Holds


class Past(Protocol):
    """What is kept for a while only."""

    @property
    def taken(self) -> int:
        """How much was taken away through this port so far."""
        ...

    def due(self, now: datetime) -> int:
        """How much has been kept long enough by then; where there is a lot, at least so much."""
        ...

    def take_away(self, now: datetime, *, between: Callable[[], object]) -> None:
        """All of it, in parts; `between` is called after each."""
        ...


@dataclass(frozen=True, slots=True)
class Pruned:
    """Nothing is left that had been kept long enough at `now`."""

    past: Past
    now: datetime

    def check(self, world: World) -> Finding:  # noqa: ARG002
        due = self.past.due(self.now)
        return Differs(f"{due} or more are due") if due else Holds("nothing is due")

    def apply(self, world: World) -> None:
        moment = timedelta(0)  # a halt is heard of in a sleep
        self.past.take_away(self.now, between=lambda: world.clock.sleep(moment))
