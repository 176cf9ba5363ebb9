"""Ring again for what is due: what nobody rang for, or nobody heard."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hive.domain.job import JobId
from hive.domain.names import NodeName
from hive.domain.tally import Tally
from hive.queue.bell import Bell
from hive.store import claims
from hive.store.session import Database

BATCH: Final = 200


@dataclass(slots=True)
class RingAgain:
    """Once for each lock in which something is due, a retry whose wait is over too.

    What is due still at the next turn is not rung for again: while workers are busy, the broker's
    queue would grow. Each of them looks at the database itself, and finds what a broker lost.
    """

    database: Database
    node: NodeName
    bell: Bell
    _rung: set[JobId] = field(default_factory=set)

    def run_once(self, now: datetime) -> Tally:
        with self.database.read() as session:
            due = claims.due(session, self.node, now, limit=BATCH)
        new = [job for job in due if job not in self._rung]
        for job in new:
            self.bell.ring(self.node, job)
        self._rung = set(due)
        return Tally(rung=len(new))
