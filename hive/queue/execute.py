"""Run a claimed job to its end: the steps, the way back, and the move that ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from hive.adapters.locks import Locks
from hive.domain.event import FENCED, NewEvent
from hive.domain.job import Job
from hive.errors import FencedOut, Halted, HiveError, Transient
from hive.queue import ending
from hive.queue.attempt import Attempt
from hive.queue.claim import next_claim, turn_over
from hive.queue.ending import Ending, Finished, GivenBack
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.journal import JobJournal
from hive.queue.lines import LineWriter
from hive.queue.run import Run
from hive.queue.written import surely
from hive.store import claims, events, jobs
from hive.store.session import Session

log = logging.getLogger("hive.execute")


def execute(
    host: Host, heart: Heart, job: Job, locks: Locks, *, goes_on: Callable[[], bool] = bool
) -> Job | None:
    """Raises nothing that the job did: its row says how it ended.

    Whoever took the job over writes its end: a fenced attempt leaves quietly. Interrupted, the job
    is given back, and the interrupt goes on. Where the worker then still `goes_on`, the next of the
    lock is claimed in the transaction that ends this one, and returned.
    """
    attempt = Attempt(job, host.clock)
    lines = LineWriter(host.database, job.id, attempt=job.attempt, limit=host.log_limit)
    journal = JobJournal(host.database, host.clock, job, lines, attempt)
    try:
        with heart.keeps(attempt):
            found = Run(host, attempt, locks, journal).ending()
            journal.flush()
            return _written(host, heart, attempt, found, goes_on)
    except FencedOut as refused:
        _tell_fenced(host, job, refused)
        return None
    except Halted:
        return None
    except KeyboardInterrupt:
        with suppress(HiveError):
            journal.flush()
            _written(host, heart, attempt, GivenBack(), bool)
        raise
    finally:
        lines.close()


def _written(
    host: Host, heart: Heart, attempt: Attempt, found: Ending, goes_on: Callable[[], bool]
) -> Job | None:
    """The row says how it ended; the next of the lock, while the worker `goes_on`."""

    def written(goes_on: Callable[[], bool]) -> Job | None:
        job = attempt.job
        with host.database.write() as session:
            ended, next_one = _moved(session, host, heart, job, found, goes_on())
            children = jobs.children(session, job.id) if _has_children(found) else []
        log.info("job.moved job=%s state=%s attempt=%s", job.id, ended.state, job.attempt)
        for child in children:
            host.bell.ring(job.node, child)
        return next_one

    try:
        return surely(host, attempt, lambda: written(goes_on))
    except Transient as error:
        if error.code != claims.RACED:
            raise
    return surely(host, attempt, lambda: written(bool))


def _moved(
    session: Session, host: Host, heart: Heart, job: Job, found: Ending, goes_on: bool
) -> tuple[Job, Job | None]:
    """The job as it ended, and the next one of its lock, where that is wanted and there is one."""
    now = host.clock.now()
    if goes_on and isinstance(found, Finished) and found.is_all:
        return turn_over(session, host, heart, job, now, found.said)
    ended = ending.write(session, job, found, failure_limit=host.failure_limit, now=now)
    return ended, next_claim(session, host, heart, job.lock) if goes_on else None


def _tell_fenced(host: Host, job: Job, refused: FencedOut) -> None:
    """That the fence has held is counted. Whose job it was fails by nothing here."""
    log.warning("job.fenced job=%s attempt=%s because=%s", job.id, job.attempt, refused.message)
    told = NewEvent(
        host.clock.now(), FENCED, job.node, job.id, job.agent, data={"attempt": job.attempt}
    )
    try:
        with host.database.write() as session:
            events.tell(session, told)
    except HiveError as error:
        log.warning("job.fenced.not-told job=%s because=%s", job.id, error.message)


def _has_children(found: Ending) -> bool:
    return isinstance(found, Finished) and bool(found.after.children)
