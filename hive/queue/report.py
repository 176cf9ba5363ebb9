"""What hive tells of its own accord: an event, and a message to each who must know; once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from hive.domain.agent import Desired
from hive.domain.event import NewEvent
from hive.domain.message import OPERATOR, NewMessage
from hive.domain.names import MANAGER, AgentName, NodeName
from hive.domain.report import Reader, Report
from hive.store import agents, events, messages
from hive.store.session import Session

SENDER: Final = "hive"


def report(session: Session, node: NodeName, said: Report, *, now: datetime) -> bool:
    """Whether it was told: to nobody who was told already, and without an event then."""
    is_new = [
        messages.tell(session, new, now=now)
        for reader in sorted(said.to)
        if (new := _to(session, node, reader, said))
    ]
    if not any(is_new):
        return False
    data = {**said.data, "said": said.body.partition("\n")[0]}
    events.tell(session, NewEvent(now, said.kind, node, None, said.agent, data))
    return True


def _to(session: Session, node: NodeName, reader: Reader, said: Report) -> NewMessage | None:
    """None where there is no such reader. The operator is the same on every node."""
    data = {**said.data, **({"agent": said.agent} if said.agent else {})}
    if reader is Reader.OPERATOR:
        return NewMessage(
            OPERATOR, SENDER, said.body, topic=said.kind, once=f"{node}/{said.once}",
            data={**data, "node": node},
        )  # fmt: skip
    manager = agents.find(session, node, AgentName(MANAGER))
    if manager is None or manager.desired is Desired.DESTROYED:
        return None
    return NewMessage(
        MANAGER, SENDER, said.body, node, topic=said.kind, once=said.once, data=data
    )  # fmt: skip
