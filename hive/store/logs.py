"""What the programs of each job wrote, line by line, in one sequence; its middle may be cut out.

A log that grows too long keeps its head and its tail. Where the last line of a cut was, a line says
how much is gone: who pages by number meets it, and only who has seen all that is gone does not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    Row,
    Select,
    Subquery,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy import cast as stored_as

from hive.domain.job import JobId, LogLine
from hive.store.session import Session, dialect_of, insert_into
from hive.store.tables import LogCutRow, LogLineRow

LINES: Final = cast(Table, LogLineRow.__table__)
CUTS: Final = cast(Table, LogCutRow.__table__)
C: Final = LINES.c
READ: Final = tuple(C[field.name] for field in fields(LogLine))

CUT: Final = "cut"
"""The stream of a line that stands for lines that are not there."""
OVERHEAD: Final = 64
"""Bytes that a line counts besides its text: about what its row and its index entry take."""
PIECES: Final = 16
"""A cut takes one of so many pieces of the limit at least: one in many writes pays for it."""
ONE_WRITER: Final = 0x6869766C  #: the first half of advisory locks of PostgreSQL: "hivl"


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line that has no place in the sequence yet."""

    job_id: JobId
    attempt: int
    step: str
    stream: str
    at: datetime
    text: str


NEW: Final = tuple(field.name for field in fields(NewLine))


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a job's log is, in bytes as `size_of` counts them."""

    head: int = 0
    tail: int = 0
    after: int | None = None
    """The last line of the head; None while there is no tail."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is gone between the head and the tail; a row of `log_cuts`."""

    after_seq: int
    until_seq: int = 0
    lines: int = 0
    bytes: int = 0


def size_of(line: NewLine) -> int:
    """Of its text in UTF-8, as it is stored, and its overhead."""
    nulls = line.text.count("\0")  # each is stored as a mark of three bytes
    return len(line.text.encode("utf-8", "replace")) + 2 * nulls + OVERHEAD


def append(session: Session, lines: Sequence[NewLine]) -> None:
    """Many lines, in one go, in this order."""
    if lines:
        session.execute(insert(LINES), [_values(line) for line in lines])


def extend(
    session: Session, job: JobId, lines: Sequence[NewLine], *, there: Extent | None, limit: int
) -> Extent:
    """Append to a job's log, and cut out of its middle what is over the limit; how long it is now.

    `there` is what the call before gave; None where nobody knows, and the log is measured.
    """
    _alone(session, job)
    now = _measured(session, job, limit) if there is None else there
    if now.after is None:
        first, lines = _fitting(lines, limit // 2 - now.head)
        append(session, first)
        now = Extent(now.head + _size(first), 0, _last(session, job) if lines else None)
    append(session, lines)
    now = replace(now, tail=now.tail + _size(lines))
    return now if now.tail <= limit // 2 else _shortened(session, job, now, limit)


def of(session: Session, job: JobId, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """The next lines after sequence number `after`, oldest first."""
    return _lines(session, _of(job).where(C.seq > after).order_by(C.seq).limit(limit))


def tail(session: Session, job: JobId, count: int) -> list[LogLine]:
    """The last `count` lines, oldest first."""
    return _lines(session, _of(job).order_by(C.seq.desc()).limit(count))[::-1]


def counted(lines: int) -> str:
    return "1 line" if lines == 1 else f"{lines} lines"


def _of(job: JobId) -> Select[Any]:
    return select(*READ).where(C.job_id == job)


def _lines(session: Session, statement: Select[Any]) -> list[LogLine]:
    return [LogLine(*row) for row in session.execute(statement)]


def _alone(session: Session, job: JobId) -> None:
    """On PostgreSQL one transaction at a time writes a job's log, from here to its commit.

    A sequence gives its numbers before the commit. An attempt that was taken over may still write
    its last lines: without this, a reader that has seen one of them could never learn of a line of
    the new attempt that has a smaller number, and was committed later.
    """
    if dialect_of(session) == "postgresql":
        key = literal(ONE_WRITER, Integer), literal(job, Integer)
        session.execute(select(func.pg_advisory_xact_lock(*key)))


def _measured(session: Session, job: JobId, limit: int) -> Extent:
    """The head ends where the cut says so; else with the last line in its half of the limit."""
    cut, upto = _cut(session, job), _upto(session, job)
    fits = select(func.max(upto.c.seq)).where(upto.c.bytes <= limit // 2)
    after = cut.after_seq if cut else session.scalar(fits) or 0
    total = select(func.sum(_bytes(session))).where(C.job_id == job)
    head = int(session.scalar(total.where(C.seq <= after)) or 0)
    tail = int(session.scalar(total.where(C.seq > after)) or 0)
    return Extent(head, tail, after if tail else None)


def _fitting(lines: Sequence[NewLine], room: int) -> tuple[Sequence[NewLine], Sequence[NewLine]]:
    """As many of the first as there is room for, and the others."""
    count = bisect_right(list(accumulate(map(size_of, lines))), room)
    return lines[:count], lines[count:]


def _shortened(session: Session, job: JobId, now: Extent, limit: int) -> Extent:
    """The oldest lines of the tail go, a piece at least, until it is in its half of the limit."""
    cut = _cut(session, job) or _Cut(now.after or 0)
    last = _reaching(session, job, cut.after_seq, now.tail - limit // 2 + limit // PIECES)
    if last is None:  # another attempt has shortened it since
        return _measured(session, job, limit)
    gone = _taken_out(session, job, cut.after_seq, last.seq)
    freed = sum(gone.values())
    gone.pop(cut.until_seq, None)  # it stood for what is counted already
    lines, size = cut.lines + len(gone), cut.bytes + sum(gone.values())
    _keep(session, job, _Cut(cut.after_seq, last.seq, lines, size))
    said = f"{counted(lines)} ({_said(size)}) cut here: a job's log keeps {_said(limit)}"
    line = NewLine(job, last.attempt, "", CUT, last.at, said)
    session.execute(insert(LINES), [{"seq": last.seq, **_values(line)}])
    return replace(now, tail=now.tail - freed + size_of(line))


def _reaching(session: Session, job: JobId, after: int, size: int) -> Row[Any] | None:
    """The line with which those behind `after` come to this size."""
    # The window would go over the whole tail; and no line is smaller than its overhead.
    upto = _upto(session, job, after, most=size // OVERHEAD + 1)
    found = select(upto).where(upto.c.bytes >= size).order_by(upto.c.seq).limit(1)
    return session.execute(found).first()


def _taken_out(session: Session, job: JobId, after: int, until: int) -> dict[int, int]:
    """The size of each line that is gone, by its number."""
    gone = delete(LINES).where(C.job_id == job, C.seq > after, C.seq <= until)
    rows = session.execute(gone.returning(C.seq, _bytes(session)))
    return {seq: size for seq, size in rows}  # noqa: C416 - a row is no tuple for mypy


def _cut(session: Session, job: JobId) -> _Cut | None:
    columns = [CUTS.c[field.name] for field in fields(_Cut)]
    row = session.execute(select(*columns).where(CUTS.c.job_id == job)).first()
    return _Cut(*row) if row else None


def _keep(session: Session, job: JobId, cut: _Cut) -> None:
    added = insert_into(session, CUTS).values(job_id=job, **asdict(cut))
    again = {name: added.excluded[name] for name in asdict(cut)}
    session.execute(added.on_conflict_do_update(index_elements=[CUTS.c.job_id], set_=again))


def _upto(session: Session, job: JobId, after: int = 0, most: int | None = None) -> Subquery:
    """Each line behind `after`, and how many bytes they are up to it; so many lines at most."""
    size = func.sum(_bytes(session)).over(order_by=C.seq, rows=(None, 0)).label("bytes")
    lines = select(C.seq, C.attempt, C.at, size).where(C.job_id == job, C.seq > after)
    return lines.order_by(C.seq).limit(most).subquery()


def _bytes(session: Session) -> ColumnElement[int]:
    """What `size_of` says, of a line that is stored. SQLite knows `octet_length` since 3.43."""
    if dialect_of(session) == "sqlite":
        return func.length(stored_as(C.text, LargeBinary), type_=Integer) + OVERHEAD
    return func.octet_length(C.text, type_=Integer) + OVERHEAD


def _last(session: Session, job: JobId) -> int:
    return session.scalar(select(func.max(C.seq)).where(C.job_id == job)) or 0


def _size(lines: Sequence[NewLine]) -> int:
    return sum(map(size_of, lines))


def _values(line: NewLine) -> dict[str, object]:
    """As `asdict` gives them, in a tenth of its time."""
    return {name: getattr(line, name) for name in NEW}


def _said(size: int) -> str:
    """1.2 MB, 64 MB; below one, in kB."""
    return f"{round(size / 1e6, 1):g} MB" if size >= 1e6 else f"{round(size / 1e3, 1):g} kB"
