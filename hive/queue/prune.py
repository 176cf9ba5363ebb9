"""Take away what nobody looks at any more. Job rows are the audit trail, and stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hive.domain.tally import Tally
from hive.store import events, messages, prune
from hive.store.session import Database

KEPT: Final = timedelta(days=30)
LAST: Final = 20
"""So many jobs of an agent keep all, however old."""
BATCH: Final = 500
EVENTS: Final = 5_000
MESSAGES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Prune:
    """Log lines, step rows and events of 30 days, or the last 20 jobs of an agent: what is more.

    And messages that were acknowledged 30 days ago, or are too many for their inbox.
    """

    database: Database
    kept: timedelta = KEPT
    messages_kept: int = messages.KEPT
    """Acknowledged ones, of a recipient."""

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
            gone += messages.prune(session, before=before, kept=self.messages_kept, limit=MESSAGES)
        return Tally(pruned=pruned, forgotten=gone)
