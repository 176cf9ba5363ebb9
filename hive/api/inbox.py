"""Messages: what waits for somebody, to take and to acknowledge; and those that are sent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from hive.api import answers, shapes
from hive.api.identity import Asking, of_all, of_inbox, of_itself
from hive.api.jobs import Key
from hive.api.streams import Found, Told, happens
from hive.domain.authority import Action, Role
from hive.domain.message import OPERATOR, Message
from hive.queue.host import Host
from hive.service import inbox
from hive.service.asking import node_of
from hive.service.inbox import Inbox, message_as_json
from hive.store.session import Session

router: Final = APIRouter(tags=["inbox"])


@router.get("/inbox/{recipient}", responses=answers.lists(shapes.Message))
def look(
    recipient: str,
    acked: bool = False,
    limit: Annotated[int, Query(ge=1, le=shapes.MOST)] = 100,
    node: str | None = None,
    who: Asking = of_inbox(Action.READ_INBOX),
) -> JSONResponse:
    """What waits, from the oldest; or the newest, acknowledged too. Nothing is taken."""
    of = inbox.of(who.host, recipient, node_of(node))
    return _page(inbox.look(who.host, of, acked=acked, limit=limit))


@router.get("/inbox/{recipient}/count", responses=answers.says(shapes.Waiting))
def count(
    recipient: str, node: str | None = None, who: Asking = of_inbox(Action.READ_INBOX)
) -> JSONResponse:
    """How many messages nobody has acknowledged."""
    of = inbox.of(who.host, recipient, node_of(node))
    return answers.one({"waiting": inbox.count(who.host, of)})


@router.post("/inbox/{recipient}/take", responses=answers.lists(shapes.Message))
async def take(
    request: Request,
    recipient: str,
    body: shapes.Take | None = None,
    node: str | None = None,
    who: Asking = of_inbox(Action.TAKE),
) -> JSONResponse:
    """Take what waits, or what comes within `wait` seconds; not acknowledged, it comes back."""
    asked, host = body or shapes.Take(), who.host
    of = await run_in_threadpool(inbox.of, host, recipient, node_of(node))
    found = await run_in_threadpool(inbox.take, host, of, limit=asked.limit)
    if not found and asked.wait and await happens(request, IsDue(host, of), asked.wait):
        found = await run_in_threadpool(inbox.take, host, of, limit=asked.limit)
    return _page(found)


@router.post("/messages", status_code=201, responses=answers.says(shapes.Message, 201))
def send(
    body: shapes.NewMessage, key: Key = None, who: Asking = of_all(Action.SEND)
) -> JSONResponse:
    """Leave a message in somebody's inbox. Said again under its key, it is the same one."""
    sender = OPERATOR if who.caller.role is Role.OPERATOR else who.by
    sent = inbox.send(
        who.host, body.to, body.text,
        sender=sender, node=node_of(body.node), reply_to=body.reply_to, key=key,
    )  # fmt: skip
    return answers.one(message_as_json(sent), 201)


@router.post("/messages/ack", responses=answers.says(shapes.AckedCount))
def ack(body: shapes.Acked, who: Asking = of_itself(Action.TAKE)) -> JSONResponse:
    """Acknowledge messages: they do not come back. An agent only its own. Twice is once."""
    agent = who.caller.agent
    mine = None if agent is None else inbox.of(who.host, agent)
    return answers.one({"acked": inbox.ack(who.host, body.ids, mine)})


@dataclass(frozen=True, slots=True)
class IsDue:
    """Whether there is something to take."""

    host: Host
    of: Inbox

    @property
    def key(self) -> Hashable:
        return IsDue, self.of

    def ask(self, session: Session) -> Found:
        is_due = inbox.is_due(session, self.of, self.host.clock.now())
        return [Told(None, "due", None)] if is_due else [], False

    def heard(self, found: Found) -> None: ...


def _page(found: list[Message]) -> JSONResponse:
    return answers.page([message_as_json(message) for message in found])
