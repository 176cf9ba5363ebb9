"""Schedules at rest, and the fires that were made: who writes a fire's row is who fires."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Row, Table, delete, func, select, update

from hive.domain.schedule import Cron, Schedule, ScheduleName
from hive.store.session import Session, insert_into
from hive.store.tables import ScheduleFireRow, ScheduleRow

SCHEDULES: Final = cast(Table, ScheduleRow.__table__)
C: Final = SCHEDULES.c
FIRES: Final = cast(Table, ScheduleFireRow.__table__)
F: Final = FIRES.c


def add(session: Session, schedule: Schedule, *, now: datetime) -> bool:
    """False where there is one of this name, which stays as it is."""
    row = insert_into(session, SCHEDULES).values(
        name=schedule.name,
        cron=schedule.cron.line,
        zone=schedule.cron.zone,
        verb=schedule.verb,
        catch_up=schedule.catch_up,
        enabled=schedule.enabled,
        since=schedule.since,
        created_at=now,
        changed_at=now,
    )
    return session.execute(row.on_conflict_do_nothing().returning(C.name)).first() is not None


def remove(session: Session, name: ScheduleName) -> bool:
    """Its fires go with it. False where there is none of this name."""
    gone = delete(SCHEDULES).where(C.name == name).returning(C.name)
    return session.execute(gone).first() is not None


def set_enabled(session: Session, name: ScheduleName, enabled: bool, *, now: datetime) -> bool:
    """Whether that is a change. Enabled, it begins anew: nothing is made up for."""
    begun = {"since": now} if enabled else {}
    changed = update(SCHEDULES).where(C.name == name, C.enabled != enabled)
    said = changed.values(enabled=enabled, changed_at=now, **begun).returning(C.name)
    return session.execute(said).first() is not None


def find(session: Session, name: ScheduleName, *, hold: bool = False) -> Schedule | None:
    """With `hold`, nobody changes or removes it until this transaction has ended."""
    one = select(SCHEDULES).where(C.name == name)
    row = session.execute(one.with_for_update() if hold else one).first()
    return None if row is None else _schedule(row)


def listed(session: Session) -> list[Schedule]:
    """By name."""
    return [_schedule(row) for row in session.execute(select(SCHEDULES).order_by(C.name))]


def fire(session: Session, name: ScheduleName, fire_at: datetime, *, now: datetime) -> bool:
    """Whether this fire is ours to make: the unique row decides, also after a clock jumped."""
    row = insert_into(session, FIRES).values(schedule=name, fire_at=fire_at, fired_at=now)
    return session.execute(row.on_conflict_do_nothing().returning(F.fire_at)).first() is not None


def seen_to(session: Session, name: ScheduleName, upto: datetime) -> None:
    """Every fire up to here was seen to. This only ever goes forward; `put_back` alone does not."""
    session.execute(update(SCHEDULES).where(C.name == name, C.since < upto).values(since=upto))


def put_back(session: Session, name: ScheduleName, now: datetime) -> None:
    """Of what was seen to, what is still to come by the clock of now will be due again."""
    session.execute(delete(FIRES).where(F.schedule == name, F.fire_at > now))
    session.execute(update(SCHEDULES).where(C.name == name).values(since=now))


def last_fires(session: Session) -> dict[ScheduleName, datetime]:
    """The latest fire of each that has one."""
    latest = select(F.schedule, func.max(F.fire_at).label("fire_at")).group_by(F.schedule)
    return {ScheduleName(row.schedule): row.fire_at for row in session.execute(latest)}


def forget_fires(session: Session, name: ScheduleName, *, keep: int) -> None:
    """But for the latest so many."""
    latest = select(F.fire_at).where(F.schedule == name).order_by(F.fire_at.desc())
    oldest = latest.offset(keep - 1).limit(1).scalar_subquery()
    session.execute(delete(FIRES).where(F.schedule == name, F.fire_at < oldest))


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        name=ScheduleName(row.name),
        cron=Cron(row.cron, row.zone),
        verb=row.verb,
        catch_up=row.catch_up,
        enabled=row.enabled,
        since=row.since,
    )
