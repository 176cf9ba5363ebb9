"""What an agent says of itself: its own word, believed of nothing, and told as an event."""

from __future__ import annotations

from typing import Any, Final

from hive.domain.event import NewEvent
from hive.domain.instant import instant
from hive.domain.names import AgentName
from hive.errors import Refused
from hive.queue.host import Host
from hive.service import lifecycle
from hive.store import events

LONGEST: Final = 500  #: characters
KIND: Final = "agent.status"


def tell(host: Host, agent: AgentName, text: str) -> dict[str, Any]:
    """The event as it was written, but for its number, which it has with the commit."""
    if not text.strip() or len(text) > LONGEST:
        raise Refused(
            f"a status has 1 to {LONGEST} characters, and this one {len(text)}",
            code="bad-status",
            hint="say in a line what you do; the rest is for a message",
        )
    known = lifecycle.known(host, agent, host.node)
    told = NewEvent(host.clock.now(), KIND, known.node, agent=agent, data={"text": text})
    with host.database.write() as session:
        events.tell(session, told)
    return {"at": instant(told.at), "kind": KIND, "agent": agent, "data": dict(told.data)}
