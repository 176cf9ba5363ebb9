"""Who works: the host lock first, then one guarded UPDATE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hive.adapters.locks import Locks, end_orphans
from hive.domain.job import Job
from hive.domain.worker import LEASE
from hive.errors import Transient
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.store import claims, jobs, moves
from hive.store.session import Session


@contextmanager
def locked(host: Host, lock: str) -> Iterator[Locks | None]:
    """The job's lock on this host, or None while someone else's process holds it.

    The lock lives as long as any process of a job lives. Where the worker is gone and a program of
    its is not, that orphan is ended: the lock is then free at the next try.
    """
    locks, path = Locks(), host.layout.lock(lock)
    held = locks.take(path, note_children=True, about=host.worker)
    if held is None:
        end_orphans(path)
        yield None
        return
    with held:
        yield locks


def claim(host: Host, heart: Heart, lock: str) -> Job | None:
    """What stands first in this lock, claimed; only for who holds the host lock that goes with it.

    A job that the row calls running has no worker any more, or its lock would be held.
    """
    try:
        with host.database.write() as session:
            claimed = next_claim(session, host, heart, lock)
            if claimed is None and (left := jobs.running_of(session, lock)):
                moves.rescue(session, left, now=host.clock.now())
                claimed = next_claim(session, host, heart, lock)
            return claimed
    except Transient as error:
        if error.code == claims.RACED:
            return None
        raise


def next_claim(session: Session, host: Host, heart: Heart, lock: str) -> Job | None:
    """The same, in a transaction of the caller's."""
    heart.register(session)
    now = host.clock.now()
    return claims.claim(session, lock, worker=host.worker, now=now, leased_until=now + LEASE)
