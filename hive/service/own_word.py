"""What an agent says of itself: its own word, believed of nothing, and told as an event."""

from __future__ import annotations

from typing import Any, Final

from hive.domain.agent import Agent
from hive.domain.event import NewEvent
from hive.domain.instant import instant
from hive.domain.message import OPERATOR, NewMessage
from hive.domain.names import MANAGER, AgentName
from hive.domain.notice import OwnNews
from hive.errors import Refused
from hive.queue.host import Host
from hive.service import lifecycle
from hive.store import agents, events, telling
from hive.store.session import Session

LONGEST: Final = 500  #: characters
KIND: Final = "agent.status"
KINDS: Final = {news: f"agent.{news.replace('_', '-')}" for news in OwnNews}
"""Of the events, by what an agent has said."""


def tell(host: Host, agent: AgentName, text: str, about: OwnNews | None = None) -> dict[str, Any]:
    """The event as it was written, but for its number, which it has with the commit.

    What it is `about` is told to the manager as well, in the agent's name: once, until the agent
    says something else of the kind.
    """
    if not text.strip() or len(text) > LONGEST:
        raise Refused(
            f"a status has 1 to {LONGEST} characters, and this one {len(text)}",
            code="bad-status",
            hint="say in a line what you do; the rest is for a message",
        )
    known = lifecycle.known(host, agent, host.node)
    kind = KINDS[about] if about else KIND
    told = NewEvent(host.clock.now(), kind, known.node, agent=agent, data={"text": text})
    with host.database.write() as session:
        if about is not None and _is_news(session, known, kind):
            telling.tell(session, _message(session, known, text, about), now=told.at)
        events.tell(session, told)
    return {"at": instant(told.at), "kind": kind, "agent": agent, "data": dict(told.data)}


def _is_news(session: Session, agent: Agent, kind: str) -> bool:
    before = events.newest_of(session, agent.node, agent.name, KINDS.values())
    return before is None or before.kind != kind


def _message(session: Session, agent: Agent, text: str, about: OwnNews) -> NewMessage:
    """Of the manager itself, and where there is none, the operator is told."""
    manager, said = AgentName(MANAGER), {"agent": agent.name, "node": agent.node}
    if not agent.name.is_manager and agents.is_there(session, agent.node, manager):
        return NewMessage(MANAGER, agent.name, text, agent.node, about, said)
    return NewMessage(OPERATOR, agent.name, text, None, about, said)
