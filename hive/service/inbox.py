"""What a face may ask about messages: to send one, to take and acknowledge them, to look."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hive.domain.instant import instant
from hive.domain.message import LEASE, OPERATOR, Message, NewMessage
from hive.domain.names import AgentName, NodeName
from hive.errors import NotFound, Refused
from hive.queue.host import Host
from hive.service import lifecycle
from hive.store import agents, inboxes, messages, telling
from hive.store.session import Session

LONGEST: Final = 64 * 1024  #: bytes of a message


@dataclass(frozen=True, slots=True)
class Inbox:
    """Whose messages: an agent's of a node, or the operator's, which is the same everywhere."""

    node: NodeName | None
    recipient: str


def of(host: Host, name: str, node: NodeName | None = None) -> Inbox:
    """Also of an agent that was destroyed. Raises `NotFound` for who was never there."""
    if name == OPERATOR:
        return Inbox(None, OPERATOR)
    agent, where = AgentName(name), node or host.node
    with host.database.read() as session:
        if agents.find(session, where, agent) is None:
            raise NotFound(
                f"there is no agent {name}", code="no-such-agent", hint="see `hive agents`"
            )
    return Inbox(where, agent)


def send(
    host: Host,
    to: str,
    text: str,
    *,
    sender: str,
    node: NodeName | None = None,
    reply_to: int | None = None,
    key: str | None = None,
) -> Message:
    """The message, on the disk. Said again under its key, it is the same one."""
    _refuse_unfit(text)
    inbox = of(host, to, node)
    if inbox.node is not None:
        lifecycle.known(host, AgentName(to), inbox.node)
    once = None if key is None else f"{sender}:{key}"
    new = NewMessage(inbox.recipient, sender, text, inbox.node, reply_to=reply_to, once=once)
    with host.database.write() as session:
        if reply_to is not None:
            messages.find(session, reply_to)
        return telling.send(session, new, now=host.clock.now(), cap=host.inbox_cap)


def take(host: Host, inbox: Inbox, *, limit: int) -> list[Message]:
    """The next messages, this process's for the time of a lease, oldest first."""
    now = host.clock.now()
    with host.database.read() as session:
        if not messages.is_due(session, inbox.node, inbox.recipient, now=now):
            return []
    with host.database.write() as session:
        return messages.take(
            session, inbox.node, inbox.recipient,
            reader=host.worker, now=now, leased_until=now + LEASE, limit=limit,
        )  # fmt: skip


def look(host: Host, inbox: Inbox, *, acked: bool, limit: int) -> list[Message]:
    """What waits, from the oldest; or the newest, acknowledged too. Nothing is taken."""
    found = messages.listed if acked else messages.waiting
    with host.database.read() as session:
        return found(session, inbox.node, inbox.recipient, limit=limit)


def ack(host: Host, seqs: Collection[int], inbox: Inbox | None = None) -> int:
    """How many were not acknowledged before. All of them, or `NotFound` and none.

    With `inbox`, what is in another one is not there.
    """
    with host.database.write() as session:
        for seq in seqs:
            found = messages.find(session, seq)
            if inbox not in (None, Inbox(found.node, found.recipient)):
                raise messages.missing(seq)
        return messages.ack(session, seqs, now=host.clock.now())


def is_due(session: Session, inbox: Inbox, now: datetime) -> bool:
    """Whether there is something to take."""
    return messages.is_due(session, inbox.node, inbox.recipient, now=now)


def count(host: Host, inbox: Inbox) -> int:
    """How many nobody has acknowledged."""
    with host.database.read() as session:
        return inboxes.count(session, inbox.node, inbox.recipient)


def message_as_json(message: Message) -> dict[str, Any]:
    return {
        "id": message.seq,
        "node": message.node,
        "to": message.recipient,
        "from": message.sender,
        "text": message.body,
        "topic": message.topic,
        "data": message.data,
        "reply_to": message.reply_to,
        "sent_at": instant(message.sent_at),
        "delivered_at": instant(message.delivered_at),
        "deliveries": message.deliveries,
        "acked_at": instant(message.acked_at),
    }


def _refuse_unfit(text: str) -> None:
    size = len(text.encode("utf-8", "surrogateescape"))
    if size > LONGEST:
        raise Refused(
            f"a message has at most {LONGEST} bytes, and this one {size}",
            code="message-too-long",
            hint="put it into a file or a commit, and send where that is",
        )
    if not text.strip():
        raise Refused("the message is empty", code="message-empty", hint="say something")
