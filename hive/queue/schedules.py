"""What the clock asks for: each fire of a schedule is made once, whoever is there to make it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.domain.event import NewEvent
from hive.domain.job import Job, NewJob
from hive.domain.schedule import AT_MOST, Due, Schedule, Verb, due
from hive.domain.tally import Tally
from hive.errors import HiveError
from hive.queue import of_node
from hive.queue.host import Host
from hive.queue.numbers import above_tags_at_first
from hive.store import events, jobs, schedules
from hive.store.session import Session

KEPT: Final = AT_MOST
"""Fires of each schedule whose rows stay."""

log = logging.getLogger("hive.schedules")


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every schedule that is due, seen to by any host that does maintenance."""

    host: Host

    def run_once(self, now: datetime) -> Tally:
        """One small read where nothing is due."""
        with self.host.database.read() as session:
            found = schedules.listed(session)
        return Tally(fired=sum(self._seen_to(schedule, now) for schedule in found))

    def _seen_to(self, schedule: Schedule, now: datetime) -> int:
        """How many fires were made. Trouble with one schedule keeps nobody from the next."""
        try:
            if schedule.is_ahead(now):
                self._put_back(schedule, now)
                return 0
            if not schedule.is_due(now):
                return 0
            above_tags_at_first(self.host)
            with self.host.database.write() as session:
                fired, made = _fired(session, self.host, schedule, now)
        except HiveError as error:
            log.warning("schedule.not-fired name=%s because=%s", schedule.name, error.message)
            return 0
        ring(self.host, made)
        return fired

    def _put_back(self, read: Schedule, now: datetime) -> None:
        """From here on it goes by the clock as it is; said, as fires come that were made before."""
        with self.host.database.write() as session:
            schedule = schedules.find(session, read.name, hold=True)
            if schedule is None or not schedule.is_ahead(now):
                return
            schedules.put_back(session, schedule.name, now)
            said = {"schedule": schedule.name, "seen_to": schedule.since.isoformat()}
            said["from"] = now.isoformat()
            node = self.host.node
            events.tell(session, NewEvent(now, "schedule.put-back", node, data=said))
        log.warning("schedule.put-back name=%s seen-to=%s", read.name, read.since.isoformat())


def jobs_of(session: Session, host: Host, schedule: Schedule, *, by: str) -> Iterator[NewJob]:
    """One for each node that is known; a prune is of the one database, and done here."""
    match schedule.verb:
        case Verb.SWEEP:
            yield from (of_node.sweep(node, by=by) for node in of_node.nodes(session, host.node))
        case Verb.UPDATE_BASE:
            yield from (
                of_node.update_base(node, by=by) for node in of_node.nodes(session, host.node)
            )
        case Verb.PRUNE:
            yield of_node.prune(host.node, by=by)


def enqueue(
    session: Session, host: Host, schedule: Schedule, now: datetime, *, by: str
) -> list[Job]:
    """Its jobs, new or live already: equal work is one."""
    asked = jobs_of(session, host, schedule, by=by)
    return [jobs.submit(session, new, now=now)[0] for new in list(asked)]


def ring(host: Host, made: list[Job]) -> None:
    for job in made:
        host.bell.ring(job.node, job.id)


def _fired(session: Session, host: Host, read: Schedule, now: datetime) -> tuple[int, list[Job]]:
    """The fires, their jobs, and that they were seen to: in one transaction, or none of it.

    Equal live jobs are one, so all that was missed makes one job a node.
    """
    schedule = schedules.find(session, read.name, hold=True)
    if schedule is None or (wanted := due(schedule, now)) is None:
        return 0, []
    ours = [at for at in wanted.fires if schedules.fire(session, schedule.name, at, now=now)]
    made = enqueue(session, host, schedule, now, by=f"schedule:{schedule.name}") if ours else []
    if wanted.is_more:
        _tell(session, host, schedule, wanted, now)
    schedules.seen_to(session, schedule.name, wanted.last)
    schedules.forget_fires(session, schedule.name, keep=KEPT)
    return len(ours), made


def _tell(session: Session, host: Host, schedule: Schedule, wanted: Due, now: datetime) -> None:
    """Fires were missed, and not each of them is made up for."""
    said = {
        "schedule": schedule.name,
        "first": wanted.first.isoformat(),
        "last": wanted.last.isoformat(),
        "made_up": len(wanted.fires),
    }
    events.tell(session, NewEvent(now, "schedule.missed", host.node, data=said))
    log.warning("schedule.missed %s", " ".join(f"{key}={value}" for key, value in said.items()))
