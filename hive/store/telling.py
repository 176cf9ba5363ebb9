"""How a message is left in an inbox: sent by who hears of a refusal, or told by hive, once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select

from hive.domain.event import NewEvent
from hive.domain.message import OPERATOR, Message, NewMessage
from hive.domain.names import AgentName, NodeName
from hive.errors import Refused
from hive.store import agents, events, inboxes
from hive.store.columns import storable
from hive.store.inboxes import Inbox
from hive.store.messages import MESSAGES, READ, C, message_of
from hive.store.session import Session, insert_into

CAP: Final = 100_000
"""So many messages of a recipient may wait, unless somebody says otherwise."""
_ADD: Final = insert(MESSAGES).returning(C.seq)


def send(session: Session, new: NewMessage, *, now: datetime, cap: int = CAP) -> Message:
    """The message, in its inbox; the one that is there, where its key was used for the same.

    Raises `Refused`: code `inbox-full` while so many wait, `key-reused` where its key was used for
    another one.
    """
    if (known := _told_before(session, new)) is not None:
        return _same(known, new)
    if not inboxes.counted_in(session, _inbox(new), cap):
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
    if not inboxes.counted_in(session, _inbox(new), cap):
        events.tell(session, _full(new, now))
        return False
    if _written(session, new, now) is not None:
        return True
    _counted_twice(session, new)
    return False


def is_told(session: Session, new: NewMessage) -> bool:
    """Its recipient was told under this key."""
    return _told_before(session, new) is not None


def leave(session: Session, told: Iterable[NewMessage], *, now: datetime) -> None:
    """Each is told right before the commit, to whom is there.

    All rows of jobs are locked by then, and inboxes are locked in one order: nobody who moves jobs
    waits in a circle, or holds an inbox for longer than the commit takes.
    """
    for new in told:
        if not session.messages:
            session.before_commit.insert(0, _tell_left)  # before events, as it may tell one
        session.messages.append((now, new))


def _tell_left(session: Session) -> None:
    for now, new in sorted(session.messages, key=lambda left: _inbox(left[1])):
        if new.node is None or agents.is_there(session, new.node, AgentName(new.recipient)):
            tell(session, new, now=now)


def _inbox(new: NewMessage) -> Inbox:
    return new.node or "", new.recipient


def _told_before(session: Session, new: NewMessage) -> Message | None:
    if new.once is None:
        return None
    node, recipient = _inbox(new)
    under = select(*READ).where(C.node == node, C.recipient == recipient, C.once == new.once)
    row = session.execute(under).first()
    return None if row is None else message_of(row)


def _same(known: Message | None, new: NewMessage) -> Message:
    said = (storable(new.sender), storable(new.body), new.reply_to)
    if known is None or (known.sender, known.body, known.reply_to) != said:
        raise Refused(
            f"this key was used for another message to {new.recipient}",
            code="key-reused",
            hint="use a new key",
        )
    return known


def _counted_twice(session: Session, new: NewMessage) -> Message | None:
    """What another transaction has told under its key since we looked."""
    inboxes.count_out(session, _inbox(new), 1)
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
