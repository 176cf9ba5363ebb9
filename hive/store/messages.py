"""Messages at rest: how one is left in an inbox, taken under a lease, and acknowledged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
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
    insert,
    select,
    text,
    update,
)

from hive.domain.event import NewEvent
from hive.domain.message import LEASE, OPERATOR, Message, NewMessage
from hive.domain.names import AgentName, NodeName
from hive.errors import NotFound, Refused
from hive.store import agents, events
from hive.store.columns import storable
from hive.store.session import Session, dialect_of, insert_into
from hive.store.tables import ACKED_ONLY, OPEN_ONLY, InboxRow, MessageRow

MESSAGES: Final = cast(Table, MessageRow.__table__)
INBOXES: Final = cast(Table, InboxRow.__table__)
C: Final = MESSAGES.c
NAMES: Final = tuple(field.name for field in fields(Message))
READ: Final = tuple(C[name] for name in NAMES)
CAP: Final = 100_000
"""So many messages of a recipient may wait, unless somebody says otherwise."""
KEPT: Final = 10_000
"""So many acknowledged ones of a recipient are kept, unless somebody says otherwise."""

Inbox = tuple[str, str]
"""The node and the recipient, as they stand in a row: the operator's has no node."""

_COUNT_IN: Final = text(
    "INSERT INTO inboxes (node, recipient, open) VALUES (:node, :recipient, 1)"
    " ON CONFLICT (node, recipient) DO UPDATE SET open = inboxes.open + 1"
    " WHERE inboxes.open < :cap RETURNING open"
)
_HOLD: Final = text(
    "INSERT INTO inboxes (node, recipient, open) VALUES (:node, :recipient, 0)"
    " ON CONFLICT (node, recipient) DO UPDATE SET open = inboxes.open"
)
_COUNT_OUT: Final = text(
    "UPDATE inboxes SET open = open - :count WHERE node = :node AND recipient = :recipient"
)


def send(session: Session, new: NewMessage, *, now: datetime, cap: int = CAP) -> Message:
    """The message, in its inbox; the one that is there, where its key was used for the same.

    Raises `Refused`: code `inbox-full` while so many wait, `key-reused` where its key was used for
    another one.
    """
    if (known := _told_before(session, new)) is not None:
        return _same(known, new)
    if not _counted_in(session, new, cap):
        raise Refused(
            f"the inbox of {new.recipient} is full: {cap} messages wait there",
            code="inbox-full",
            hint=f"they wait until somebody acknowledges them: hive inbox {new.recipient} --ack",
        )
    made = _written(session, new, now)
    return made or _same(_counted_twice(session, new), new)


def tell(session: Session, new: NewMessage, *, now: datetime, cap: int = CAP) -> bool:
    """Whether it was written: hive's own word is told once, and fails nothing where it cannot be.

    What finds its inbox full is an event, `inbox.full`.
    """
    if _told_before(session, new) is not None:
        return False
    if not _counted_in(session, new, cap):
        events.tell(session, _full(new, now))
        return False
    if _written(session, new, now) is not None:
        return True
    _counted_twice(session, new)
    return False


def is_told(session: Session, new: NewMessage) -> bool:
    """Its recipient was told under this key."""
    return _told_before(session, new) is not None


def hold(session: Session, inboxes: Iterable[Inbox]) -> None:
    """Nobody else tells these until this transaction has ended; for who tells before the end of it.

    They are locked in the order of `leave`, or two that tell both would wait in a circle.
    """
    if dialect_of(session) == "postgresql":
        for node, recipient in sorted(inboxes):
            session.execute(_HOLD, {"node": node, "recipient": recipient})


def leave(session: Session, told: Iterable[NewMessage], *, now: datetime) -> None:
    """Each is told right before the commit, to whom is there.

    All rows of jobs are locked by then, and inboxes are locked in one order: nobody who moves jobs
    waits in a circle, or holds an inbox for longer than the commit takes.
    """
    for new in told:
        if not session.messages:
            session.before_commit.insert(0, _tell_left)  # before events, as it may tell one
        session.messages.append((now, new))


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
    return sorted(map(_message, found), key=lambda message: message.seq)


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
        _count_out(session, inbox, count[inbox])
    return count.total()


def find(session: Session, seq: int) -> Message:
    row = session.execute(select(*READ).where(C.seq == seq)).first()
    if row is None:
        raise missing(seq)
    return _message(row)


def missing(seq: int) -> NotFound:
    return NotFound(
        f"there is no message {seq}", code="no-such-message", hint="see `hive inbox --all`"
    )


def waiting(
    session: Session, node: NodeName | None, recipient: str, *, limit: int
) -> list[Message]:
    """The oldest that nobody has acknowledged, whoever has them, oldest first; none is taken."""
    found = _of(OPEN_ONLY).order_by(C.seq).limit(limit)
    return [_message(row) for row in session.execute(found, _bound(node, recipient))]


def listed(session: Session, node: NodeName | None, recipient: str, *, limit: int) -> list[Message]:
    """The newest, acknowledged or not, oldest first; none is taken."""
    bound = _bound(node, recipient)
    newest = (_of(only).order_by(C.seq.desc()).limit(limit) for only in (OPEN_ONLY, ACKED_ONLY))
    found = [_message(row) for look in newest for row in session.execute(look, bound)]
    return sorted(found, key=lambda message: message.seq)[-limit:]


def count(session: Session, node: NodeName | None, recipient: str) -> int:
    """How many were not acknowledged yet."""
    of = INBOXES.c
    return session.scalar(
        select(of.open).where(of.node == (node or ""), of.recipient == recipient)
    ) or 0  # fmt: skip


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
    of = INBOXES.c
    session.execute(delete(INBOXES).where(of.node == node, of.recipient == recipient))


def _tell_left(session: Session) -> None:
    for now, new in sorted(session.messages, key=lambda left: _inbox(left[1])):
        if new.node is None or agents.is_there(session, new.node, AgentName(new.recipient)):
            tell(session, new, now=now)


def _inbox(new: NewMessage) -> Inbox:
    return new.node or "", new.recipient


def _bound(node: NodeName | None, recipient: str) -> dict[str, Any]:
    return {"b_node": node or "", "b_recipient": recipient}


def _due_at(node: NodeName | None, recipient: str, now: datetime) -> dict[str, Any]:
    """Twice a lease ahead: hosts whose clocks differ a little take nothing from each other."""
    return {**_bound(node, recipient), "b_now": now, "b_ahead": now + 2 * LEASE}


def _told_before(session: Session, new: NewMessage) -> Message | None:
    if new.once is None:
        return None
    node, recipient = _inbox(new)
    under = select(*READ).where(C.node == node, C.recipient == recipient, C.once == new.once)
    row = session.execute(under).first()
    return None if row is None else _message(row)


def _same(known: Message | None, new: NewMessage) -> Message:
    said = (storable(new.sender), storable(new.body), new.reply_to)
    if known is None or (known.sender, known.body, known.reply_to) != said:
        raise Refused(
            f"this key was used for another message to {new.recipient}",
            code="key-reused",
            hint="use a new key",
        )
    return known


def _counted_in(session: Session, new: NewMessage, cap: int) -> bool:
    """One more waits there; False where no more may. On PostgreSQL senders to it take turns."""
    node, recipient = _inbox(new)
    bound = {"node": node, "recipient": recipient, "cap": cap}
    return session.execute(_COUNT_IN, bound).first() is not None


def _count_out(session: Session, inbox: Inbox, count: int) -> None:
    node, recipient = inbox
    session.execute(_COUNT_OUT, {"node": node, "recipient": recipient, "count": count})


def _counted_twice(session: Session, new: NewMessage) -> Message | None:
    """What another transaction has told under its key since we looked."""
    _count_out(session, _inbox(new), 1)
    return _told_before(session, new)


def _written(session: Session, new: NewMessage, now: datetime) -> Message | None:
    """None where its key was just used."""
    row = {
        "node": new.node or "",
        "recipient": new.recipient,
        "sender": new.sender,
        "body": new.body,
        "topic": new.topic,
        "data": None if new.data is None else dict(new.data),
        "reply_to": new.reply_to,
        "once": new.once,
        "sent_at": now,
        "deliveries": 0,
    }
    if new.once is None:
        made = session.execute(_ADD, row).first()
    else:
        adds = insert_into(session, MESSAGES).values(**row).on_conflict_do_nothing()
        made = session.execute(adds.returning(C.seq)).first()
    return None if made is None else _unread(made.seq, new, now)


def _unread(seq: int, new: NewMessage, now: datetime) -> Message:
    """As it would be read back."""
    return Message(
        seq=seq,
        node=new.node,
        recipient=new.recipient,
        sender=storable(new.sender),
        body=storable(new.body),
        topic=new.topic,
        data=new.data,
        reply_to=new.reply_to,
        sent_at=now,
        delivered_at=None,
        deliveries=0,
        reader=None,
        leased_until=None,
        acked_at=None,
    )


def _full(new: NewMessage, now: datetime) -> NewEvent:
    """Of the node that the message is about, where the recipient has none of its own."""
    node = NodeName(new.node or (new.data or {}).get("node", OPERATOR))
    return NewEvent(now, "inbox.full", node, data={"recipient": new.recipient, "topic": new.topic})


def _last_too_many(session: Session, kept: int) -> list[tuple[Inbox, int]]:
    """Of each recipient with more than `kept` acknowledged messages the newest one that may go."""
    of = INBOXES.c
    acked = select(C.seq).where(C.node == of.node, C.recipient == of.recipient, text(ACKED_ONLY))
    newest = acked.order_by(C.seq.desc()).offset(kept).limit(1).correlate(INBOXES)
    last = newest.scalar_subquery().label("last")
    rows = session.execute(select(of.node, of.recipient, last).order_by(of.node, of.recipient))
    return [((row.node, row.recipient), row.last) for row in rows if row.last is not None]


def _deleted(session: Session, found: Select[Any]) -> int:
    gone = delete(MESSAGES).where(C.seq.in_(found)).returning(C.seq)
    return len(session.execute(gone).all())


def _message(row: Row[Any]) -> Message:
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
_ADD: Final = insert(MESSAGES).returning(C.seq)
_DUE: Final = tuple(
    map(_due, (C.leased_until <= NOW, C.leased_until > AHEAD, C.leased_until.is_(None)))
)
_TAKES: Final = tuple(map(_take, _DUE))
