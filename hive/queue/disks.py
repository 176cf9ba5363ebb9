"""How full the disks of this host are: told when it changes; while it is critical, builds wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hive.adapters.machine import Disk, disk
from hive.domain.fullness import CRITICAL, ROOM, Fullness
from hive.domain.report import Reader, Report
from hive.domain.tally import Tally
from hive.queue.host import Host
from hive.queue.report import report
from hive.store import workers

GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Disks:
    """The row of this node says how full the fullest of its disks is."""

    host: Host
    look: Callable[[Path], Disk] = disk

    def run_once(self, now: datetime) -> Tally:
        path = max(self.host.disks, key=lambda one: self.look(one).percent)
        found = self.look(path)
        with self.host.database.read() as session:
            before = workers.disk_of(session, self.host.node)
        fullness = Fullness.of(found.percent, before)
        if fullness is before:
            return Tally()
        is_news = before is not None or fullness is not Fullness.OK
        with self.host.database.write() as session:
            changed = workers.set_disk(session, self.host.node, fullness)
            if changed and is_news:
                report(session, self.host.node, _told(fullness, path, found, now), now=now)
        return Tally(told=int(changed and is_news))

    def again(self, now: datetime) -> Tally:
        """Where builds wait for room: with no maintenance here, nobody else would see it come."""
        with self.host.database.read() as session:
            is_full = workers.disk_of(session, self.host.node) is Fullness.CRITICAL
        return self.run_once(now) if is_full else Tally()


def _told(fullness: Fullness, path: Path, found: Disk, now: datetime) -> Report:
    how = f"{found.percent} % of the disk of {path} is used, {found.free / GIB:.1f} GiB are free"
    what = {
        Fullness.OK: "",
        Fullness.WARNING: f"; at {CRITICAL} % nothing new is built",
        Fullness.CRITICAL: f"; nothing new is built until it is {CRITICAL - ROOM} %:"
        " `nix-collect-garbage`",
    }
    return Report(
        "node.disk",
        how + what[fullness],
        once=f"disk:{fullness}:{now.isoformat()}",
        to=frozenset({Reader.OPERATOR}),
        data={"state": fullness.value, "percent": found.percent, "path": str(path)},
    )
