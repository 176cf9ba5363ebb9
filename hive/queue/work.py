"""Work on one lock: take it, claim what stands first, run it, and pass on what is left."""

from __future__ import annotations

from collections.abc import Callable

from hive.domain.job import Job, JobId
from hive.queue.claim import claim, locked
from hive.queue.execute import Next, execute
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.turns import Turns
from hive.store import claims


def work(host: Host, heart: Heart, lock: str) -> bool:
    """Run the job that stands first in the lock; False when there was nothing to do."""
    with locked(host, lock) as locks:
        job = claim(host, heart, lock) if locks else None
        if locks is None or job is None:
            return False
        execute(host, heart, job, locks)
        return True


def work_off(
    host: Host,
    heart: Heart,
    lock: str,
    *,
    turns: Turns,
    tell: Callable[[JobId], object] = bool,
) -> int:
    """Run one job of the lock after the other while `turns` go on; how many there were.

    The next one is claimed in the transaction that ends the one before; `tell` hears of each. What
    is submitted just as the last one ends found the lock busy, and would wait for a poll: so the
    bell is rung for it.
    """
    count = 0
    with locked(host, lock) as locks:
        first = claim(host, heart, lock) if locks and turns.goes_on() else None
        one = None if first is None else Next(first, follows=False)
        while locks and one:
            tell(one.job.id)
            one = execute(host, heart, one.job, locks, turns=turns, follows=one.follows)
            count += 1
    if count:
        _pass_on(host, lock)
    return count


def _pass_on(host: Host, lock: str) -> None:
    left = _left(host, lock)
    if left is not None:
        host.bell.ring(left.node, left.id)


def _left(host: Host, lock: str) -> Job | None:
    with host.database.read() as session:
        return claims.next_of(session, lock, host.clock.now())
