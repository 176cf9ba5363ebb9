"""What happened, in one sequence: written last in the transaction that it tells."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    Row,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
)

from hive.domain.event import Event, NewEvent
from hive.domain.job import CLAIM, FINISH, JobId
from hive.domain.names import AgentName, NodeName
from hive.store.prepared import Prepared
from hive.store.session import Session, dialect_of
from hive.store.tables import RUNNING_ONLY, AgentRow, EventRow

EVENTS: Final = cast(Table, EventRow.__table__)
C: Final = EVENTS.c
AGENTS: Final = cast(Table, AgentRow.__table__)
A: Final = AGENTS.c
READ: Final = tuple(C[field.name] for field in fields(Event))
WRITING: Final = 0x68697666  #: an advisory lock of PostgreSQL: "hivf"

NAMES: Final = tuple(field.name for field in fields(NewEvent))

_WRITERS_ENDED: Final = text(f"SELECT pg_advisory_xact_lock({WRITING})")
_ADD: Final = Prepared(insert(EVENTS).values({name: bindparam(name) for name in NAMES}))
#: The lock and the rows in one statement; whoever writes shares the lock until it has committed.
_ADD_KNOWN: Final = Prepared(
    text(
        f"WITH known AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({WRITING}))"
        " INSERT INTO events (at, kind, node, job_id, agent, data)"
        " SELECT e.at, e.kind, e.node, e.job_id, e.agent, CAST(e.data AS json)"
        " FROM known, json_to_recordset(CAST(:said AS json)) AS e(at timestamptz, kind text,"
        " node text, job_id integer, agent text, data text)"
    )
)
#: As `_ADD_KNOWN`, of what a turn in one word has moved, which nobody has seen yet: rows of this
#: transaction's own. Sent behind all moves, so that who waits for a row keeps nobody from the lock.
OF_TURN: Final = Prepared(
    text(
        "WITH ours AS MATERIALIZED (SELECT CAST(pg_current_xact_id_if_assigned() AS xid) AS xid),"
        f" known AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({WRITING})),"
        " ended AS (SELECT id, node, agent, state, attempt FROM jobs, ours"
        " WHERE id = CAST(:b_id AS integer) AND attempt = CAST(:b_attempt AS integer)"
        f" AND state = '{FINISH.end}' AND jobs.xmin = ours.xid),"
        " claimed AS (SELECT id, node, agent, state, attempt FROM jobs, ours"
        f" WHERE lock = :b_lock AND {RUNNING_ONLY} AND jobs.xmin = ours.xid"
        " AND EXISTS (SELECT FROM ended)),"
        f" moved AS (SELECT 1 AS place, 'job.{FINISH.name}' AS kind, * FROM ended"
        f" UNION ALL SELECT 2, 'job.{CLAIM.name}', * FROM claimed)"
        " INSERT INTO events (at, kind, node, job_id, agent, data)"
        " SELECT CAST(:b_now AS timestamptz), moved.kind, node, id, agent,"
        " json_build_object('state', state, 'attempt', attempt) FROM known, moved ORDER BY place"
    )
)


def tell(session: Session, event: NewEvent) -> None:
    """It is written right before the commit: nothing is told that did not happen."""
    if not session.events:
        session.before_commit.append(_write)
    session.events.append(event)


def behind(
    session: Session,
    after: int = 0,
    *,
    kind: str | None = None,
    job: JobId | None = None,
    node: NodeName | None = None,
    agent: AgentName | None = None,
    limit: int = 1000,
) -> list[Event]:
    """The next events behind sequence number `after`, oldest first."""
    upto = _settled(session, after)
    found = select(*READ).where(C.seq > after, C.seq <= upto).order_by(C.seq).limit(limit)
    asked = ((C.kind, kind), (C.job_id, job), (C.node, node), (C.agent, agent))
    where = [column == value for column, value in asked if value is not None]
    return _events(session, found.where(*where))


def last(session: Session) -> int:
    """The newest number; 0 where nothing has happened."""
    return session.scalar(select(func.max(C.seq))) or 0


def newest_of(
    session: Session, node: NodeName, agent: AgentName, kinds: Collection[str]
) -> Event | None:
    """The newest of these kinds that is about this agent."""
    of_it = select(*READ).where(C.node == node, C.agent == agent, C.kind.in_(kinds))
    return next(iter(_events(session, of_it.order_by(C.seq.desc()).limit(1))), None)


def last_of_agents(session: Session) -> list[Event]:
    """The newest event of each agent that has a row and any event, by one query for all."""
    newest = select(func.max(C.seq)).where(C.node == A.node, C.agent == A.name)
    of_each = select(newest.correlate(AGENTS).scalar_subquery()).select_from(AGENTS)
    return _events(session, select(*READ).where(C.seq.in_(of_each)))


def prune(session: Session, *, before: datetime, limit: int) -> int:
    """Take away at most `limit` of the oldest that are older than `before`; how many went."""
    oldest = select(C.seq, C.at).order_by(C.seq).limit(limit).subquery()
    old = select(oldest.c.seq).where(oldest.c.at < before)
    return len(session.execute(delete(EVENTS).where(C.seq.in_(old)).returning(C.seq)).all())


def _write(session: Session) -> None:
    rows = [_as_row(event) for event in session.events]
    if dialect_of(session) == "postgresql":
        said = {"said": json.dumps([_as_said(row) for row in rows])}
        session.with_commit.append((_ADD_KNOWN, said))
    else:
        session.with_commit += [(_ADD, row) for row in rows]


def _settled(session: Session, after: int) -> int:
    """Up to this number everything is there that ever will be.

    A sequence gives its numbers before the commit: who has seen 8 might else never learn of a 7
    that is committed later. On PostgreSQL every writer shares a lock from before it takes a number
    until its commit, so whoever had one of these has ended once the lock was ours for a moment.
    """
    upto = last(session)
    if upto > after and dialect_of(session) == "postgresql":
        with suppress(_LetGo), session.begin_nested():
            session.execute(_WRITERS_ENDED)
            raise _LetGo
    return upto


class _LetGo(Exception):
    pass


def _as_row(event: NewEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in NAMES}


def _as_said(row: dict[str, Any]) -> dict[str, Any]:
    """Its data is JSON in JSON: a row of PostgreSQL's is not made of what is no text to it."""
    return row | {"at": row["at"].isoformat(), "data": json.dumps(row["data"])}


def _events(session: Session, statement: Select[Any]) -> list[Event]:
    return [_event(row) for row in session.execute(statement)]


def _event(row: Row[Any]) -> Event:
    values = row._asdict()
    values["node"] = NodeName(row.node)
    values["agent"] = None if row.agent is None else AgentName(row.agent)
    return Event(**values)
