"""Messages at rest: how one is taken out of an inbox under a lease, acknowledged, and gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)

from hive.domain.message import LEASE, Message
from hive.domain.names import AgentName, NodeName
from hive.errors import NotFound
from hive.store import inboxes
from hive.store.inboxes import Inbox
from hive.store.session import Session
from hive.store.tables import ACKED_ONLY, OPEN_ONLY, MessageRow

MESSAGES: Final = cast(Table, MessageRow.__table__)
C: Final = MESSAGES.c
NAMES: Final = tuple(field.name for field in fields(Message))
READ: Final = tuple(C[name] for name in NAMES)
KEPT: Final = 10_000
"""So many acknowledged ones of a recipient are kept, unless somebody says otherwise."""


def take(
    session: Session,
    node: NodeName | None,
    recipient: str,
    *,
    reader: str,
    now: datetime,
    leased_until: datetime,
    limit: int,
) -> list[Message]:
    """The next messages, this reader's until then, oldest first.

    Those come first that another reader took and did not acknowledge while its lease lasted, or
    under one that only a clock that was ahead can have given. No two readers have a message at
    once.
    """
    bound = {**_due_at(node, recipient, now), "b_until": leased_until, "b_reader": reader}
    found: list[Row[Any]] = []
    for takes in _TAKES:
        if len(found) < limit:
            found += session.execute(takes, {**bound, "b_most": limit - len(found)})
    return sorted(map(message_of, found), key=lambda message: message.seq)


def is_due(session: Session, node: NodeName | None, recipient: str, *, now: datetime) -> bool:
    """Whether there is something to take; it costs next to nothing, and holds up nobody."""
    bound = {**_due_at(node, recipient, now), "b_most": 1}
    return any(session.execute(look, bound).first() for look in _DUE)


def ack(
    session: Session,
    seqs: Collection[int],
    *,
    now: datetime,
    node: NodeName | None = None,
    recipient: str | None = None,
) -> int:
    """How many of these were not acknowledged before, and are now.

    Only those of this recipient, where one is given. They are acknowledged whoever took them, and
    whether or not the lease has lapsed: to do so twice is to do it once.
    """
    of_it = () if recipient is None else (C.node == (node or ""), C.recipient == recipient)
    mine = (
        select(C.seq).where(C.seq.in_(seqs), *of_it).order_by(C.seq).with_for_update().cte("mine")
    )
    unacked = update(MESSAGES).where(C.seq.in_(select(mine.c.seq)), text(OPEN_ONLY))
    acks = unacked.values(acked_at=now, leased_until=None).returning(C.node, C.recipient)
    count = Counter[Inbox]((row.node, row.recipient) for row in session.execute(acks))
    for inbox in sorted(count):
        inboxes.count_out(session, inbox, count[inbox])
    return count.total()


def find(session: Session, seq: int) -> Message:
    row = session.execute(select(*READ).where(C.seq == seq)).first()
    if row is None:
        raise missing(seq)
    return message_of(row)


def missing(seq: int) -> NotFound:
    return NotFound(
        f"there is no message {seq}", code="no-such-message", hint="see `hive inbox --all`"
    )


def waiting(
    session: Session, node: NodeName | None, recipient: str, *, limit: int
) -> list[Message]:
    """The oldest that nobody has acknowledged, whoever has them, oldest first; none is taken."""
    found = _of(OPEN_ONLY).order_by(C.seq).limit(limit)
    return [message_of(row) for row in session.execute(found, _bound(node, recipient))]


def listed(session: Session, node: NodeName | None, recipient: str, *, limit: int) -> list[Message]:
    """The newest, acknowledged or not, oldest first; none is taken."""
    bound = _bound(node, recipient)
    newest = (_of(only).order_by(C.seq.desc()).limit(limit) for only in (OPEN_ONLY, ACKED_ONLY))
    found = [message_of(row) for look in newest for row in session.execute(look, bound)]
    return sorted(found, key=lambda message: message.seq)[-limit:]


def prune(session: Session, *, before: datetime, kept: int, limit: int) -> int:
    """Take away acknowledged messages, at most `limit`, the oldest first; how many went.

    Those that were acknowledged before this moment, and of each recipient those behind the newest
    `kept`. What nobody has acknowledged stays.
    """
    old = select(C.seq).where(text(ACKED_ONLY), C.acked_at < before).order_by(C.acked_at)
    gone = _deleted(session, old.limit(limit))
    for (node, recipient), last in _last_too_many(session, kept):
        of_it = (C.node == node, C.recipient == recipient, text(ACKED_ONLY), C.seq <= last)
        if gone < limit:
            found = select(C.seq).where(*of_it).order_by(C.seq)
            gone += _deleted(session, found.limit(limit - gone))
    return gone


def forget(session: Session, node: NodeName, recipient: AgentName) -> None:
    """There is no inbox of this agent, and no message to it; what others were told of it stays."""
    session.execute(delete(MESSAGES).where(C.node == node, C.recipient == recipient))
    inboxes.forget(session, (node, recipient))


def _bound(node: NodeName | None, recipient: str) -> dict[str, Any]:
    return {"b_node": node or "", "b_recipient": recipient}


def _due_at(node: NodeName | None, recipient: str, now: datetime) -> dict[str, Any]:
    """Twice a lease ahead: hosts whose clocks differ a little take nothing from each other."""
    return {**_bound(node, recipient), "b_now": now, "b_ahead": now + 2 * LEASE}


def _last_too_many(session: Session, kept: int) -> list[tuple[Inbox, int]]:
    """Of each recipient with more than `kept` acknowledged messages the newest one that may go."""
    of = inboxes.C
    acked = select(C.seq).where(C.node == of.node, C.recipient == of.recipient, text(ACKED_ONLY))
    newest = acked.order_by(C.seq.desc()).offset(kept).limit(1).correlate(inboxes.INBOXES)
    last = newest.scalar_subquery().label("last")
    rows = session.execute(select(of.node, of.recipient, last).order_by(of.node, of.recipient))
    return [((row.node, row.recipient), row.last) for row in rows if row.last is not None]


def _deleted(session: Session, found: Select[Any]) -> int:
    gone = delete(MESSAGES).where(C.seq.in_(found)).returning(C.seq)
    return len(session.execute(gone).all())


def message_of(row: Row[Any]) -> Message:
    values = dict(zip(NAMES, row, strict=True))
    values["node"] = NodeName(row.node) if row.node else None
    return Message(**values)


# Statements that every message needs are put together once: that takes longer than to run them.


def _of(only: str) -> Select[Any]:
    inbox = (C.node == bindparam("b_node"), C.recipient == bindparam("b_recipient"))
    return select(*READ).where(*inbox, text(only))


def _due(where: ColumnElement[bool]) -> Select[Any]:
    """In the order of one index alone: else PostgreSQL may walk all messages by their number."""
    most = bindparam("b_most", type_=Integer)
    ordered = _of(OPEN_ONLY).where(where).order_by(C.leased_until, C.seq)
    return ordered.limit(most).with_only_columns(C.seq)


def _take(due: Select[Any]) -> Update:
    """On PostgreSQL who takes at once passes over what another one is taking."""
    mine = due.with_for_update(skip_locked=True).cte("mine")
    values = {
        "deliveries": C.deliveries + 1,
        "delivered_at": func.coalesce(C.delivered_at, NOW),
        "reader": bindparam("b_reader"),
        "leased_until": bindparam("b_until", type_=C.leased_until.type),
    }
    return update(MESSAGES).where(C.seq.in_(select(mine.c.seq))).values(values).returning(*READ)


NOW: Final = bindparam("b_now", type_=C.leased_until.type)
AHEAD: Final = bindparam("b_ahead", type_=C.leased_until.type)
_DUE: Final = tuple(
    map(_due, (C.leased_until <= NOW, C.leased_until > AHEAD, C.leased_until.is_(None)))
)
_TAKES: Final = tuple(map(_take, _DUE))
