"""How many messages wait in each inbox: a row each, which senders take turns at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from sqlalchemy import Table, delete, select, text

from hive.domain.names import NodeName
from hive.store.session import Session, dialect_of
from hive.store.tables import InboxRow

INBOXES: Final = cast(Table, InboxRow.__table__)
C: Final = INBOXES.c

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


def hold(session: Session, inboxes: Iterable[Inbox]) -> None:
    """Nobody else tells these until this transaction has ended; for who tells before the end of it.

    They are locked in the order of `telling.leave`, or two that tell both would wait in a circle.
    """
    if dialect_of(session) == "postgresql":
        for node, recipient in sorted(inboxes):
            session.execute(_HOLD, {"node": node, "recipient": recipient})


def count(session: Session, node: NodeName | None, recipient: str) -> int:
    """How many were not acknowledged yet."""
    of_it = select(C.open).where(C.node == (node or ""), C.recipient == recipient)
    return session.scalar(of_it) or 0


def counted_in(session: Session, inbox: Inbox, cap: int) -> bool:
    """One more waits there; False where no more may. On PostgreSQL senders to it take turns."""
    node, recipient = inbox
    bound = {"node": node, "recipient": recipient, "cap": cap}
    return session.execute(_COUNT_IN, bound).first() is not None


def count_out(session: Session, inbox: Inbox, count: int) -> None:
    node, recipient = inbox
    session.execute(_COUNT_OUT, {"node": node, "recipient": recipient, "count": count})


def forget(session: Session, inbox: Inbox) -> None:
    """There is none; for who takes its messages away, too."""
    node, recipient = inbox
    session.execute(delete(INBOXES).where(C.node == node, C.recipient == recipient))
