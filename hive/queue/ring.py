"""Ring again for what is due: what nobody rang for, or nobody heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.domain.names import NodeName
from hive.domain.tally import Tally
from hive.queue.bell import Bell
from hive.store import claims
from hive.store.session import Database

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class RingAgain:
    """Once for each lock in which something is due, a retry whose wait is over too."""

    database: Database
    node: NodeName
    bell: Bell

    def run_once(self, now: datetime) -> Tally:
        with self.database.read() as session:
            due = claims.due(session, self.node, now, limit=BATCH)
        for job in due:
            self.bell.ring(self.node, job)
        return Tally(rung=len(due))
