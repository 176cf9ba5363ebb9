"""Notifiers at rest: whom to call for which events, and how far each has come."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Row, Table, delete, func, select, text, update

from hive.domain.names import NodeName
from hive.domain.notifier import Notifier, NotifierName
from hive.errors import NotFound, Refused
from hive.store import events
from hive.store.jobs import JOBS
from hive.store.session import Session, insert_into
from hive.store.tables import QUEUED_ONLY, NotifierRow

NOTIFIERS: Final = cast(Table, NotifierRow.__table__)
C: Final = NOTIFIERS.c


def add(session: Session, notifier: Notifier, *, now: datetime) -> None:
    """It is called for what happens from now on. Refused where the name is taken."""
    said = {
        "name": notifier.name, "node": notifier.node, "kinds": list(notifier.kinds),
        "command": list(notifier.command) if notifier.command else None,
        "url": notifier.url,
        "url_file": str(notifier.url_file) if notifier.url_file else None,
        "enabled": notifier.enabled, "after_seq": events.last(session),
        "created_at": now, "changed_at": now,
    }  # fmt: skip
    row = insert_into(session, NOTIFIERS).values(**said).on_conflict_do_nothing()
    if session.execute(row.returning(C.name)).first() is None:
        raise Refused(
            f"there is a notifier {notifier.name} already",
            code="notifier-exists",
            hint=f"hive notify remove {notifier.name}, or take another name",
        )


def find(session: Session, name: str) -> Notifier | None:
    row = session.execute(select(NOTIFIERS).where(C.name == name)).first()
    return None if row is None else _notifier(row)


def known(session: Session, name: NotifierName) -> Notifier:
    """Raises `NotFound` where there is none."""
    found = find(session, name)
    if found is None:
        raise missing(name)
    return found


def missing(name: str) -> NotFound:
    return NotFound(
        f"there is no notifier {name}", code="no-such-notifier", hint="see `hive notify list`"
    )


def listed(session: Session) -> list[Notifier]:
    """By name."""
    return [_notifier(row) for row in session.execute(select(NOTIFIERS).order_by(C.name))]


def remove(session: Session, name: NotifierName) -> None:
    gone = session.execute(delete(NOTIFIERS).where(C.name == name).returning(C.name)).first()
    if gone is None:
        raise missing(name)


def switch(session: Session, name: NotifierName, *, enabled: bool, now: datetime) -> None:
    """Switched on again, it is not called for what happened meanwhile."""
    was = known(session, name)
    if was.enabled == enabled:
        return
    since = {"after_seq": events.last(session)} if enabled else {}
    said = update(NOTIFIERS).where(C.name == name)
    session.execute(said.values(enabled=enabled, changed_at=now, **since))


def held(session: Session, name: NotifierName) -> Notifier | None:
    """The notifier while it is switched on; what another does to it waits for our end."""
    one = select(NOTIFIERS).where(C.name == name, C.enabled.is_(True)).with_for_update()
    row = session.execute(one).first()
    return None if row is None else _notifier(row)


def advance(session: Session, notifier: Notifier, seq: int) -> bool:
    """Events up to `seq` were seen to; False where somebody else has seen to some."""
    still = C.name == notifier.name, C.after_seq == notifier.after_seq
    moved = update(NOTIFIERS).where(*still).values(after_seq=seq).returning(C.name)
    return session.execute(moved).first() is not None


def due(session: Session, notifier: Notifier) -> int:
    """How many of its calls are queued."""
    queued = JOBS.c.lock == notifier.lock, text(QUEUED_ONLY)
    return session.scalar(select(func.count()).select_from(JOBS).where(*queued)) or 0


def told_by(session: Session, kind: str, jobs: set[int]) -> set[int]:
    """Those of these jobs that are of this kind, or have changed nothing and are forgotten."""
    others = select(JOBS.c.id).where(JOBS.c.id.in_(jobs), JOBS.c.kind != kind)
    return jobs.difference(session.scalars(others))


def _notifier(row: Row[Any]) -> Notifier:
    return Notifier(
        name=NotifierName(row.name),
        node=NodeName(row.node),
        kinds=tuple(row.kinds),
        command=tuple(row.command) if row.command else None,
        url=row.url,
        url_file=Path(row.url_file) if row.url_file else None,
        enabled=row.enabled,
        after_seq=row.after_seq,
    )
