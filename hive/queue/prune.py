"""Take away what nobody looks at any more. Job rows are the audit trail, and stay.

But for sweeps, prunes and tidies that found nothing to do, and calls of notifiers: there is one
every few minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hive.domain.tally import Tally
from hive.store import crashes, events, messages, prune
from hive.store.session import Database

KEPT: Final = timedelta(days=30)
IDLE_KEPT: Final = timedelta(days=7)
"""Of a sweep, a prune, a tidy or a call that changed nothing."""
LAST: Final = 20
"""So many jobs of an agent keep all, however old."""
BATCH: Final = 500
MANY: Final = 5_000
LOOK: Final = 20
"""So much of each is enough to see that there is something."""


@dataclass(frozen=True, slots=True)
class Prune:
    """Log lines, step rows and events of 30 days, or the last 20 jobs of an agent: what is more.

    And messages that were acknowledged 30 days ago, or are too many for their inbox.
    """

    database: Database
    kept: timedelta = KEPT
    messages_kept: int = messages.KEPT
    """Acknowledged ones, of a recipient."""

    def run_once(self, now: datetime, *, between: Callable[[], object] = bool) -> Tally:
        """As much as there is, in transactions that hold nobody up; `between` comes after each."""
        total = Tally()
        while not (part := self._some(now)).is_nothing:
            total += part
            between()
        return total

    def look(self, now: datetime) -> Tally:
        """What there is at least: taken in a transaction of which nothing stays."""
        return self._some(now, only_look=True)

    def _some(self, now: datetime, *, only_look: bool = False) -> Tally:
        before, batch, many = now - self.kept, BATCH, MANY
        if only_look:
            batch = many = LOOK
        with self.database.trial() if only_look else self.database.write() as session:
            pruned = prune.strip_jobs(session, before=before, last=LAST, limit=batch)
            gone = events.prune(session, before=before, limit=many)
            gone += messages.prune(session, before=before, kept=self.messages_kept, limit=many)
            gone += crashes.prune(session, before=before, limit=many)
            gone += prune.forget_idle(session, before=now - IDLE_KEPT, limit=batch)
        return Tally(pruned=pruned, forgotten=gone)


@dataclass(slots=True)
class OldRows:
    """What there is to prune in the database, as the step that sees no SQL knows it."""

    prune: Prune
    taken: int = 0

    def due(self, now: datetime) -> int:
        return _count(self.prune.look(now))

    def take_away(self, now: datetime, *, between: Callable[[], object]) -> None:
        self.taken += _count(self.prune.run_once(now, between=between))


def _count(tally: Tally) -> int:
    return sum(tally.as_dict().values())
