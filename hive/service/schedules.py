"""What a face may ask about schedules, and have done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hive.domain.instant import instant
from hive.domain.job import Job
from hive.domain.schedule import CatchUp, Cron, Schedule, ScheduleName, Verb
from hive.errors import HiveError, NotFound, Refused
from hive.queue import schedules as queue
from hive.queue.host import Host
from hive.service.ground import number_above_tags, written_to
from hive.store import schedules
from hive.store.session import Session


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule, when it fired last, and when it will."""

    schedule: Schedule
    last_fire: datetime | None
    next_fire: datetime | None
    note: str | None
    """What keeps it from firing as its line says."""

    def as_json(self) -> dict[str, Any]:
        schedule = self.schedule
        return {
            "name": schedule.name,
            "cron": schedule.cron.line,
            "zone": schedule.cron.zone,
            "verb": schedule.verb.value,
            "catch_up": schedule.catch_up.value,
            "enabled": schedule.enabled,
            "last_fire": instant(self.last_fire),
            "next_fire": instant(self.next_fire),
            "note": self.note,
        }


def listed(host: Host) -> list[ScheduleView]:
    """By name."""
    with host.database.read() as session:
        found, last = schedules.listed(session), schedules.last_fires(session)
    now = host.clock.now()
    return [_view(schedule, last.get(schedule.name), now) for schedule in found]


def add(
    host: Host, name: ScheduleName, cron: Cron, verb: Verb, catch_up: CatchUp
) -> tuple[Schedule, bool]:
    """The schedule, and whether it is new: the same one is there already, or another is refused."""
    now = host.clock.now()
    wanted = Schedule(name, cron, verb, catch_up, enabled=True, since=now)
    with host.database.write() as session:
        if schedules.add(session, wanted, now=now):
            return wanted, True
        there = _known(session, name)
    if not there.is_alike(wanted):
        raise Refused(
            f"there is a schedule {name}, and it is another: '{there.cron.line}'"
            f" in {there.cron.zone}, {there.verb}, catch-up {there.catch_up}",
            code="schedule-exists",
            hint=f"`hive schedule remove {name}` first, or take another name",
        )
    return there, False


def remove(host: Host, name: ScheduleName) -> None:
    """For good: no later version puts a default back."""
    with host.database.write() as session:
        if not schedules.remove(session, name):
            raise _unknown(name)


def set_enabled(host: Host, name: ScheduleName, enabled: bool) -> tuple[Schedule, bool]:
    """The schedule, and whether that is a change. What it missed while disabled is not made up."""
    with host.database.write() as session:
        changed = schedules.set_enabled(session, name, enabled, now=host.clock.now())
        return _known(session, name), changed


def run(host: Host, name: ScheduleName, *, by: str) -> list[Job]:
    """Its jobs, now, whether it is enabled or not; its next fire stays when it is."""
    number_above_tags(host, written_to(host))
    with host.database.write() as session:
        found = _known(session, name)
        made = queue.enqueue(session, host, found, host.clock.now(), by=by)
    queue.ring(host, made)
    return made


def _known(session: Session, name: ScheduleName) -> Schedule:
    found = schedules.find(session, name)
    if found is None:
        raise _unknown(name)
    return found


def _unknown(name: ScheduleName) -> NotFound:
    return NotFound(
        f"there is no schedule {name}", code="no-such-schedule", hint="see `hive schedule list`"
    )


def _view(schedule: Schedule, last_fire: datetime | None, now: datetime) -> ScheduleView:
    """Its next fire is never one that was made: where the clock was put back, it is far away."""
    try:
        next_fire, would = schedule.next_fire, schedule.cron.next(now)
    except HiveError as error:
        return ScheduleView(schedule, last_fire, None, error.message)
    is_ahead = schedule.enabled and schedule.since > now and next_fire != would
    again = f"`hive schedule disable {schedule.name}`, then enable, begins anew"
    note = f"seen to until {instant(schedule.since)}, ahead of the clock: {again}"
    return ScheduleView(schedule, last_fire, next_fire, note if is_ahead else None)
