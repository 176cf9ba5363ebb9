"""From events to calls: each event that somebody wants to hear of becomes a job that calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.domain.event import Event
from hive.domain.job import Job, NewJob
from hive.domain.notifier import Notifier
from hive.domain.tally import Tally
from hive.jobs.notify import Notify as Call
from hive.queue.host import Host
from hive.store import events, jobs, notifiers
from hive.store.session import Session

BATCH: Final = 200
"""Events that are read at once."""
QUEUED: Final = 200
"""Calls of one notifier that may be queued: the next events then wait where they are."""
LAST: Final = 10
"""The priority of a call: it goes after all that is done for an agent."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Events behind each notifier's place become jobs, and its place moves with them.

    Both in one transaction: a kill loses none, and two who do it at once double none.
    """

    host: Host

    def run_once(self, now: datetime) -> Tally:
        with self.host.database.read() as session:
            ours = [one for one in notifiers.listed(session) if self._is_ours(one)]
            newest = events.last(session) if ours else 0
        behind = [one for one in ours if one.after_seq < newest]
        return Tally(notified=sum(self._caught_up(one, now) for one in behind))

    def _is_ours(self, notifier: Notifier) -> bool:
        return notifier.enabled and notifier.node == self.host.node

    def _caught_up(self, notifier: Notifier, now: datetime) -> int:
        """How many calls were queued: what nobody wants to hear of is passed over at once."""
        made: list[Job] = []
        is_more = True
        while is_more and not made:
            with self.host.database.write() as session:
                is_more, made = _turn(session, notifier, now)
        for job in made:
            self.host.bell.ring(job.node, job.id)
        return len(made)


def _turn(session: Session, of: Notifier, now: datetime) -> tuple[bool, list[Job]]:
    """Whether there may be more events, and the calls that became of these."""
    notifier = notifiers.held(session, of.name)
    if notifier is None or (room := QUEUED - notifiers.due(session, notifier)) <= 0:
        return False, []
    found = events.behind(session, notifier.after_seq, limit=BATCH)
    wanted = _wanted(session, notifier, found)
    seen = wanted[room - 1].seq if len(wanted) > room else found[-1].seq if found else 0
    if not found or not notifiers.advance(session, notifier, seen):
        return False, []
    made = [_submit(session, notifier, event, now) for event in wanted[:room]]
    return len(found) == BATCH, made


def _wanted(session: Session, notifier: Notifier, found: list[Event]) -> list[Event]:
    """Without those about calls, or each call would be the next one's reason."""
    matching = [event for event in found if notifier.wants(event)]
    about = {event.job_id for event in matching if event.job_id is not None}
    calls = notifiers.told_by(session, Call.kind, set(about)) if about else set()
    return [event for event in matching if event.job_id not in calls]


def _submit(session: Session, notifier: Notifier, event: Event, now: datetime) -> Job:
    return jobs.submit(session, call(notifier, event), now=now)[0]


def call(notifier: Notifier, event: Event, *, by: str = "notify") -> NewJob:
    """A job that calls. It says what happened, and nothing of whom it calls but the name."""
    return NewJob(
        kind=Call.kind,
        node=notifier.node,
        agent=None,
        ask={"notifier": notifier.name, "event": event.as_json()},
        lock=notifier.lock,
        requested_by=by,
        unique_key=f"{Call.kind}:{notifier.name}:{event.seq}",
        priority=LAST,
    )
