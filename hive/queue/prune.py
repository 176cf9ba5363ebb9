"""Take away what nobody looks at any more. Job rows are the audit trail, and stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hive.domain.tally import Tally
from hive.store import events, prune
from hive.store.session import Database

KEPT: Final = timedelta(days=30)
LAST: Final = 20
"""So many jobs of an agent keep all, however old."""
BATCH: Final = 500
EVENTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Prune:
    """Log lines, step rows and events of 30 days, or the last 20 jobs of an agent: what is more."""

    database: Database
    kept: timedelta = KEPT

    def run_once(self, now: datetime) -> Tally:
        """As much as there is, in transactions that hold nobody up."""
        total = Tally()
        while not (part := self._some(now)).is_nothing:
            total += part
        return total

    def _some(self, now: datetime) -> Tally:
        before = now - self.kept
        with self.database.write() as session:
            pruned = prune.strip_jobs(session, before=before, last=LAST, limit=BATCH)
            gone = events.prune(session, before=before, limit=EVENTS)
        return Tally(pruned=pruned, forgotten=gone)
