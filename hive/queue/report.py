"""What hive tells of its own accord: an event, and a message to each who must know; once."""

from __future__ import annotations

from collections.abc import Iterator
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
    """Whether it was told: to nobody who was told already, and without an event then.

    Where there is no manager, the operator is told what would be the manager's.
    """
    found = list(_messages(session, node, said))
    if all(messages.is_told(session, new) for new in found):
        return False
    messages.hold(session, (("", OPERATOR), (node, MANAGER)))
    told = [messages.tell(session, new, now=now) for new in found]
    if not any(told):
        return False
    data = {**said.data, "said": said.body.partition("\n")[0]}
    events.tell(session, NewEvent(now, said.kind, node, None, said.agent, data))
    return True


def _messages(session: Session, node: NodeName, said: Report) -> Iterator[NewMessage]:
    """The operator is the same on every node."""
    data = {**said.data, **({"agent": said.agent} if said.agent else {})}
    topic = said.topic or said.kind
    to_manager = Reader.MANAGER in said.to and _has_manager(session, node)
    if to_manager:
        once = said.once
        yield NewMessage(MANAGER, SENDER, said.body, node, topic, data, once=once)
    if Reader.OPERATOR in said.to or not to_manager:
        once, data = f"{node}/{said.once}", {**data, "node": node}
        yield NewMessage(OPERATOR, SENDER, said.body, None, topic, data, once=once)


def _has_manager(session: Session, node: NodeName) -> bool:
    manager = agents.find(session, node, AgentName(MANAGER))
    return manager is not None and manager.desired is not Desired.DESTROYED
