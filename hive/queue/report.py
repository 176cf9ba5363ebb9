"""What hive tells of its own accord: an event, and a message to each who must know; once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from hive.domain.event import NewEvent
from hive.domain.message import HIVE, OPERATOR, NewMessage
from hive.domain.names import MANAGER, AgentName, NodeName
from hive.domain.report import Reader, Report
from hive.store import agents, events, inboxes, telling
from hive.store.session import Session


def report(session: Session, node: NodeName, said: Report, *, now: datetime) -> bool:
    """Whether it was told: to nobody who was told already, and without an event then.

    Where there is no manager, the operator is told what would be the manager's.
    """
    found = list(_messages(session, node, said))
    if all(telling.is_told(session, new) for new in found):
        return False
    inboxes.hold(session, (("", OPERATOR), (node, MANAGER)))
    told = [telling.tell(session, new, now=now) for new in found]
    if not any(told):
        return False
    data = {**said.data, "said": said.body.partition("\n")[0]}
    events.tell(session, NewEvent(now, said.kind, node, None, said.agent, data))
    return True


def _messages(session: Session, node: NodeName, said: Report) -> Iterator[NewMessage]:
    """The operator is the same on every node."""
    data = {**said.data, **({"agent": said.agent} if said.agent else {})}
    topic = said.topic or said.kind
    to_manager = Reader.MANAGER in said.to and agents.is_there(session, node, AgentName(MANAGER))
    if to_manager:
        once = said.once
        yield NewMessage(MANAGER, HIVE, said.body, node, topic, data, once=once)
    if Reader.OPERATOR in said.to or not to_manager:
        once, data = f"{node}/{said.once}", {**data, "node": node}
        yield NewMessage(OPERATOR, HIVE, said.body, None, topic, data, once=once)
