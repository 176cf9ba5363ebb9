"""Take jobs back from workers that are gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hive.adapters.processes import is_alive
from hive.domain.job import Job, JobId
from hive.domain.tally import Tally
from hive.domain.worker import LEASE, Worker
from hive.queue.claim import locked
from hive.queue.host import Host
from hive.store import moves, workers

PATIENCE: Final = 3 * LEASE
"""For a worker that lives and holds its lock, by the monotonic clock: a stepped one lapses all."""

log = logging.getLogger("hive.rescue")


@dataclass(slots=True)
class Rescue:
    """Each job whose worker is gone is queued again, and rung for.

    On this host a dead pid frees its jobs at once; elsewhere the lease decides, as nobody can look.
    One that lives may have let a job go that it could not write to: then its host lock is free.
    """

    host: Host
    _seen: dict[JobId, tuple[int, datetime | None, float]] = field(default_factory=dict)
    """Attempt, lease, and since when by the monotonic clock they are unchanged."""

    def run_once(self, now: datetime) -> Tally:
        with self.host.database.read() as session:
            running = workers.running(session)
        self._seen = {job.id: self._since(job, until) for job, _, until in running}
        gone = [job for job, worker, until in running if self._is_gone(job, worker, until, now)]
        rescued = [job for job in gone if self._rescued(job, now)]
        return Tally(rescued=len(rescued))

    def _since(self, job: Job, until: datetime | None) -> tuple[int, datetime | None, float]:
        known = self._seen.get(job.id)
        if known is not None and known[:2] == (job.attempt, until):
            return known
        return job.attempt, until, self.host.clock.monotonic()

    def _is_gone(
        self, job: Job, worker: Worker | None, until: datetime | None, now: datetime
    ) -> bool:
        lapsed = until is None or until < now
        if worker is None or not worker.process.shares_pids_with(self.host.process):
            return lapsed
        if not is_alive(worker.process.pid, worker.process.started):
            return True
        return lapsed and (self._is_still(job) or self._is_let_go(job))

    def _is_still(self, job: Job) -> bool:
        return self.host.clock.monotonic() - self._seen[job.id][2] >= PATIENCE.total_seconds()

    def _is_let_go(self, job: Job) -> bool:
        if job.node != self.host.node:  # its locks are not in our folder, though its pids are ours
            return False
        with locked(self.host, job.lock) as locks:
            return locks is not None

    def _rescued(self, job: Job, now: datetime) -> bool:
        with self.host.database.write() as session:
            found = moves.rescue(session, job, now=now)
        if found is None:
            return False
        log.warning("job.rescued job=%s attempt=%s from=%s", job.id, job.attempt, job.worker)
        self.host.bell.ring(found.node, found.id)
        return True


def forget_dead(host: Host, now: datetime, *, after: timedelta = LEASE) -> int:
    """Workers that are gone, and hold nothing, have no row any more."""
    with host.database.read() as session:
        here = workers.listed(session)
    gone = [one for one in here if now - one.beat_at > after and not _lives(host, one)]
    if gone:
        with host.database.write() as session:
            for one in gone:
                workers.leave_idle(session, one.id)
    return len(gone)


def _lives(host: Host, worker: Worker) -> bool:
    process = worker.process
    shares = process.shares_pids_with(host.process)
    return shares and is_alive(process.pid, process.started)
