"""What the programs of each job wrote, line by line, in one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Select, Table, insert, select
from sqlalchemy.orm import Session

from hive.domain.job import JobId, LogLine
from hive.store.tables import LogLineRow

LINES: Final = cast(Table, LogLineRow.__table__)
C: Final = LINES.c
READ: Final = tuple(C[field.name] for field in fields(LogLine))


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line that has no place in the sequence yet."""

    job_id: JobId
    attempt: int
    step: str
    stream: str
    at: datetime
    text: str


def append(session: Session, lines: Sequence[NewLine]) -> None:
    """Many lines, in one go, in this order."""
    if lines:
        session.execute(insert(LINES), [asdict(line) for line in lines])


def of(session: Session, job: JobId, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """The next lines after sequence number `after`, oldest first."""
    return _lines(session, _of(job).where(C.seq > after).order_by(C.seq).limit(limit))


def tail(session: Session, job: JobId, count: int) -> list[LogLine]:
    """The last `count` lines, oldest first."""
    return _lines(session, _of(job).order_by(C.seq.desc()).limit(count))[::-1]


def _of(job: JobId) -> Select[Any]:
    return select(*READ).where(C.job_id == job)


def _lines(session: Session, statement: Select[Any]) -> list[LogLine]:
    return [LogLine(*row) for row in session.execute(statement)]
