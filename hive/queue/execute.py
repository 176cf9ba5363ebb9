"""Run a claimed job to its end: the steps, the way back, and the move that ends it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hive.adapters.locks import Locks
from hive.domain.event import FENCED, NewEvent
from hive.domain.job import FINISH, Job, JobId, JobState
from hive.errors import FencedOut, Halted, HiveError, Transient
from hive.queue import ending
from hive.queue.attempt import Attempt
from hive.queue.claim import next_claim
from hive.queue.ending import Ending, Finished, GivenBack
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.journal import JobJournal
from hive.queue.lines import LineWriter
from hive.queue.run import Run
from hive.queue.turns import Turns
from hive.queue.written import surely
from hive.store import claims, events, jobs
from hive.store.turns import Turn

log = logging.getLogger("hive.execute")


@dataclass(frozen=True, slots=True)
class Next:
    """A job that was claimed with the end of the one before it in its lock."""

    job: Job
    follows: bool
    """The lock was held since, and nothing of that one lies about."""


def execute(
    host: Host,
    heart: Heart,
    job: Job,
    locks: Locks,
    *,
    turns: Turns | None = None,
    follows: bool = False,
) -> Next | None:
    """Raises nothing that the job did: its row says how it ended.

    Whoever took the job over writes its end: a fenced attempt leaves quietly. Interrupted, the job
    is given back, and the interrupt goes on. Where there are `turns` that go on, the next of the
    lock is claimed in the transaction that ends this one, and returned. It `follows` where nothing
    of this one lies about.
    """
    attempt = Attempt(job, host.clock)
    lines = LineWriter(host.database, job.id, attempt=job.attempt, limit=host.log_limit)
    journal = JobJournal(host.database, host.clock, job, lines, attempt)
    try:
        with heart.keeps(attempt):
            run = Run(host, attempt, locks, journal, follows)
            found = run.ending()
            journal.flush()
            next_one = _written(host, heart, attempt, found, turns)
            return None if next_one is None else Next(next_one, run.is_clear)
    except FencedOut as refused:
        _tell_fenced(host, job, refused)
        return None
    except Halted:
        return None
    except KeyboardInterrupt:
        with suppress(HiveError):
            journal.flush()
            _written(host, heart, attempt, GivenBack(), None)
        raise
    finally:
        lines.close()


def _written(
    host: Host, heart: Heart, attempt: Attempt, found: Ending, turns: Turns | None
) -> Job | None:
    """The row says how it ended; the next of the lock, where `turns` go on."""
    job = attempt.job
    try:
        return surely(host, attempt, lambda: _ended(host, heart, job, found, turns))
    except Transient as error:
        if error.code != claims.RACED:
            raise
    return surely(host, attempt, lambda: _ended(host, heart, job, found, None))


def _ended(host: Host, heart: Heart, job: Job, found: Ending, turns: Turns | None) -> Job | None:
    children: Sequence[JobId] = ()
    goes_on = turns is not None and turns.goes_on()
    if turns is not None and goes_on and isinstance(found, Finished) and found.is_all:
        state: JobState = FINISH.end
        next_one = turns.over(Turn(job, found.said))
    else:
        now = host.clock.now()
        with host.database.write() as session:
            ended = ending.write(session, job, found, failure_limit=host.failure_limit, now=now)
            state = ended.state
            next_one = next_claim(session, host, heart, job.lock) if goes_on else None
            if _has_children(found):
                children = jobs.children(session, job.id)
    log.info("job.moved job=%s state=%s attempt=%s", job.id, state, job.attempt)
    for child in children:
        host.bell.ring(job.node, child)
    return next_one


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
