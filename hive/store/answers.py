"""Answers at rest: what was said under a key is said again, for a day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy import Table, delete, select

from hive.store.session import Session, insert_into
from hive.store.tables import AnswerRow

ANSWERS: Final = cast(Table, AnswerRow.__table__)
C: Final = ANSWERS.c
KEPT: Final = timedelta(days=1)
AT_ONCE: Final = 100
"""So many old ones go with each new one, at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A row. `key` and `request` are hashes."""

    key: str
    request: str
    status: int
    body: str


READ: Final = tuple(C[field.name] for field in fields(Answer))


def find(session: Session, key: str) -> Answer | None:
    row = session.execute(select(*READ).where(C.key == key)).first()
    return None if row is None else Answer(*row)


def keep(session: Session, answer: Answer, *, now: datetime) -> None:
    """The first one under a key stays. What is old goes by the way."""
    row = {name: getattr(answer, name) for name in Answer.__slots__}
    session.execute(insert_into(session, ANSWERS).values(**row, at=now).on_conflict_do_nothing())
    old = select(C.key).where(C.at < now - KEPT).order_by(C.at).limit(AT_ONCE)
    session.execute(delete(ANSWERS).where(C.key.in_(old)))
