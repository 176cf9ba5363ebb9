"""The one loop that waits for chores to be due; what a chore does is in `hive/queue`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hive.domain.tally import Tally
from hive.errors import HiveError
from hive.queue.crashes import CrashWatch
from hive.queue.disks import Disks
from hive.queue.host import Host
from hive.queue.notify import Notify
from hive.queue.rescue import Rescue, forget_dead
from hive.queue.ring import RingAgain
from hive.queue.schedules import Schedules
from hive.queue.traces import Traces

TURN: Final = timedelta(milliseconds=500)

log = logging.getLogger("hive.maintenance")


@dataclass(frozen=True, slots=True)
class Chore:
    name: str
    run_once: Callable[[datetime], Tally]
    every: timedelta


def rescue_of(host: Host) -> Chore:
    """In every worker too: the job of one that was killed runs again within seconds."""
    return Chore("rescue", Rescue(host).run_once, timedelta(seconds=1))


def chores_of(host: Host) -> tuple[Chore, ...]:
    ring = RingAgain(host.database, host.node, host.bell)
    return (
        rescue_of(host),
        Chore("ring", ring.run_once, timedelta(seconds=5)),
        Chore("crashes", CrashWatch(host).run_once, TURN),
        Chore("traces", Traces(host).run_once, timedelta(seconds=2)),
        Chore("disks", Disks(host).run_once, timedelta(minutes=1)),
        Chore("notify", Notify(host).run_once, timedelta(seconds=1)),
        Chore("workers", lambda now: Tally(forgotten=forget_dead(host, now)), timedelta(minutes=1)),
        Chore("schedules", Schedules(host).run_once, timedelta(seconds=1)),
    )


class Maintenance:
    """Runs each chore when its time has come. Several processes may do so at once."""

    def __init__(self, host: Host, chores: Sequence[Chore]) -> None:
        self._host = host
        self._chores = chores
        self._due: dict[str, float] = {}

    def once(self) -> Tally:
        """Every chore, now. Raises what one of them raises, when all have had their turn."""
        total = Tally()
        raised: Exception | None = None
        for chore in self._chores:
            try:
                total += chore.run_once(self._host.clock.now())
            except Exception as error:  # noqa: BLE001 - raised again below
                raised = raised or error
        if raised is not None:
            raise raised
        return total

    def run(self, over: threading.Event, *, turned: Callable[[], object] = bool) -> None:
        """Until `over`. A chore that fails has its turn again when its time comes.

        `turned` hears of each time round: the loop does not hang.
        """
        while not over.is_set():
            for chore in self._chores:
                if not over.is_set() and self._is_due(chore):
                    self._turn(chore)
            turned()
            over.wait(TURN.total_seconds())

    def _is_due(self, chore: Chore) -> bool:
        return self._host.clock.monotonic() >= self._due.get(chore.name, float("-inf"))

    def _turn(self, chore: Chore) -> None:
        try:
            done = chore.run_once(self._host.clock.now())
            if not done.is_nothing:
                log.info("%s.done %s", chore.name, done)
        except HiveError as error:
            log.warning("%s.failed because=%s", chore.name, error.message)
        except Exception:
            log.exception("%s.fault", chore.name)
        self._due[chore.name] = self._host.clock.monotonic() + chore.every.total_seconds()
