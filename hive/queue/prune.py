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
from hive.store.session import Database, Session

KEPT: Final = timedelta(days=30)
IDLE_KEPT: Final = timedelta(days=7)
"""Of a sweep, a prune, a tidy or a call that changed nothing."""
LAST: Final = 20
"""So many jobs of an agent keep all, however old."""
BATCH: Final = 500
ROWS: Final = 10
"""Events and messages for each job of a batch."""
LOOK: Final = 2
"""So much of each is enough to see that there is something."""
Some = Callable[[Session, datetime, int], Tally]


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
        for some in (self._idle, self._old):  # what goes whole is not stripped first
            while not (part := self._some(some, now, BATCH)).is_nothing:
                total += part
                between()
        return total

    def look(self, now: datetime) -> Tally:
        """What there is at least: taken in a transaction of which nothing stays."""
        with self.database.trial() as session:
            return self._idle(session, now, LOOK) + self._old(session, now, LOOK)

    def _some(self, some: Some, now: datetime, batch: int) -> Tally:
        with self.database.write() as session:
            return some(session, now, batch)

    def _idle(self, session: Session, now: datetime, batch: int) -> Tally:
        """Looked for among all jobs of these kinds, so not with each batch of the others."""
        gone = prune.forget_idle(session, before=now - IDLE_KEPT, limit=batch)
        return Tally(forgotten=gone)

    def _old(self, session: Session, now: datetime, batch: int) -> Tally:
        before, many, kept = now - self.kept, batch * ROWS, self.messages_kept
        pruned = prune.strip_jobs(session, before=before, last=LAST, limit=batch)
        gone = events.prune(session, before=before, limit=many)
        gone += messages.prune(session, before=before, kept=kept, limit=many)
        gone += crashes.prune(session, before=before, limit=many)
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
