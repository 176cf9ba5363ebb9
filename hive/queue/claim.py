"""Who works: the host lock first, then one guarded UPDATE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from hive.adapters.locks import Locks, end_orphans
from hive.domain.job import Job
from hive.domain.names import AgentName
from hive.queue.host import Host
from hive.store import jobs

LEASE = timedelta(seconds=30)


@contextmanager
def locked(host: Host, agent: AgentName) -> Iterator[Locks | None]:
    """The agent's lock on this host, or None while someone else's process holds it.

    The lock lives as long as any process of a job lives. Where the worker is gone and a program of
    its is not, that orphan is ended: the lock is then free at the next try.
    """
    locks, path = Locks(), host.layout.agent_lock(agent)
    lock = locks.take(path, note_children=True, about=host.worker)
    if lock is None:
        end_orphans(path)
        yield None
        return
    with lock:
        yield locks


def claim(host: Host, lock: str) -> Job | None:
    """What stands first in this lock, claimed; only for who holds the host lock that goes with it.

    A job that the row calls running has no worker any more, or its lock would be held: it is taken
    over, with the next attempt. Else the first that is due.
    """
    now = host.clock.now()
    until, worker = now + LEASE, host.worker
    with host.database.write() as session:
        left = jobs.running_of(session, lock)
        if left:
            return jobs.take_over(
                session,
                left.id,
                seen_attempt=left.attempt,
                worker=worker,
                now=now,
                leased_until=until,
            )
        due = jobs.next_of(session, lock, now)
        if due is None:
            return None
        return jobs.claim(session, due.id, worker=worker, now=now, leased_until=until)
