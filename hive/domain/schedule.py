"""What is asked for by the clock: a cron line in a time zone, and what it asks for."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from itertools import takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from hive.domain.names import Name
from hive.errors import Refused

AT_MOST: Final = 100
"""So many missed fires are made up for; earlier ones are not."""
ON_TIME: Final = timedelta(minutes=1)
"""A fire that is seen to within this was not missed."""
FIELDS: Final = 5
_MARGIN: Final = timedelta(hours=3)
"""More than any zone turns its clocks back. A clock that is put back further was wrong before."""
_FIRST_LOOK: Final = timedelta(hours=1)


class Verb(StrEnum):
    SWEEP = "sweep"  #: look at every agent of each node, and enqueue what differs
    UPDATE_BASE = "update-base"  #: look at the base anew, on each node
    PRUNE = "prune"  #: take away what nobody looks at any more


class CatchUp(StrEnum):
    """What becomes of the fires that were missed while nobody was there."""

    SKIP = "skip"  #: none of them is made up for
    LAST = "last"  #: the last one is
    ALL = "all"  #: each of them is


class ScheduleName(Name):
    """A schedule, as people call it."""

    __slots__ = ()
    pattern = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
    what = "a schedule's name"
    code = "bad-schedule"
    advice = "1 to 32 of a-z, 0-9 and -, with no - at either end"


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields, and the zone whose clocks they mean.

    As with cron, a line of fixed hours fires once on a day whose clocks are turned back, and right
    after the gap where they are turned forward over it; one with stars goes by what time passes.
    """

    line: str
    zone: str

    @classmethod
    def of(cls, line: str, zone: str) -> Cron:
        """Checked. Raises `Refused` for what is no cron line, never fires, or is in no zone."""
        cron = cls(" ".join(line.split()), zone)
        if cron.next(datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise _bad(cron.line, "it never fires")
        return cron

    @property
    def goes_by_what_passes(self) -> bool:
        """It has stars in minute or hour, as every five minutes: no moment of it is special."""
        return any("*" in part for part in self.line.split()[:2])

    def next(self, after: datetime) -> datetime | None:
        """The first fire behind this moment."""
        return _next(self, after)

    def last(self, count: int, *, after: datetime, until: datetime) -> list[datetime]:
        """The last fires behind `after`, up to `until` and with it; oldest first.

        It looks back in growing strides, so that years of every minute cost no more than a day.
        """
        stride = _FIRST_LOOK
        while True:
            start = max(after, until - stride)
            found = deque(self._fires(start, until), maxlen=count)
            if len(found) == count or start == after:
                return list(found)
            stride *= 4

    def _fires(self, after: datetime, until: datetime) -> Iterator[datetime]:
        return takewhile(lambda fire: fire <= until, self._behind(after))

    def _behind(self, after: datetime) -> Iterator[datetime]:
        """Cron goes by the hands of the clock, which show some moments twice: it begins earlier."""
        zone = zone_of(self.zone)
        start = after if zone is UTC else after - _MARGIN
        fires = (fire.astimezone(UTC) for fire in _simulated(self.line, start.astimezone(zone)))
        return (fire for fire in fires if fire > after)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule, as its row says it."""

    name: ScheduleName
    cron: Cron
    verb: Verb
    catch_up: CatchUp
    enabled: bool
    since: datetime
    """Every fire up to here was seen to."""

    @property
    def next_fire(self) -> datetime | None:
        return self.cron.next(self.since) if self.enabled else None

    def is_due(self, now: datetime) -> bool:
        fire = self.next_fire
        return fire is not None and fire <= now

    def is_ahead(self, now: datetime) -> bool:
        """A clock that was put back comes to fires that were seen to, and they are due again.

        As with cron: to a line of stars at once; to one of fixed hours only where the clock was
        corrected by more than it is ever turned back.
        """
        most = ON_TIME if self.cron.goes_by_what_passes else _MARGIN
        return self.enabled and self.since - now > most

    def is_alike(self, other: Schedule) -> bool:
        """The same is asked for at the same times."""
        mine, others = ((s.cron, s.verb, s.catch_up) for s in (self, other))
        return mine == others


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule has missed, or is just in time for."""

    fires: tuple[datetime, ...]
    """Those that are made, oldest first."""
    first: datetime
    last: datetime
    is_more: bool
    """There were others between first and last, or the last itself is not made."""


def due(schedule: Schedule, now: datetime) -> Due | None:
    """What `schedule` wants by now; None where its next fire is still to come."""
    first = schedule.next_fire
    if first is None or first > now:
        return None
    found = schedule.cron.last(AT_MOST + 1, after=schedule.since, until=now)
    fires = tuple(_made(schedule.catch_up, found, now))
    return Due(fires, first, found[-1], is_more=len(fires) < len(found))


def zone_of(name: str) -> tzinfo:
    """Raises `Refused` for one that this machine does not know."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise Refused(
            f"{name!r} is no time zone that this machine knows",
            code="bad-zone",
            hint="such as UTC or Europe/Berlin",
        ) from None


def _made(catch_up: CatchUp, found: list[datetime], now: datetime) -> list[datetime]:
    match catch_up:
        case CatchUp.SKIP:
            return [fire for fire in found[-1:] if now - fire <= ON_TIME]
        case CatchUp.LAST:
            return found[-1:]
        case CatchUp.ALL:
            return found[-AT_MOST:]


@lru_cache(maxsize=256)
def _next(cron: Cron, after: datetime) -> datetime | None:
    """Remembered: maintenance asks each second, and the answer stays until it has come."""
    return next(cron._behind(after), None)


def _simulated(line: str, start: datetime) -> Iterator[datetime]:
    try:
        simulated = CronSim(line, start)
    except (CronSimError, ValueError) as error:
        raise _bad(line, str(error)) from None
    if len(line.split()) != FIELDS:
        raise _bad(line, "it has not five fields")
    return simulated


def _bad(line: str, because: str) -> Refused:
    return Refused(
        f"{line!r} is no cron line: {because}",
        code="bad-cron",
        hint="minute, hour, day of the month, month, day of the week: '*/5 * * * *'",
    )
