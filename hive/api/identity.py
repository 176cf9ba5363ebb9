"""Who asks: the socket says it, or over TCP a token; and each endpoint says who may ask it."""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from hive.api import problems
from hive.domain.authority import Action, Caller, Role, reach
from hive.domain.job import Job, JobId
from hive.domain.message import OPERATOR
from hive.domain.names import AgentName
from hive.errors import HiveError, Refused
from hive.queue.drive import find
from hive.queue.host import Host
from hive.service import tokens

_PEER: Final = struct.Struct("iII")  #: pid, uid, gid, as the kernel gives them
Check = TypeVar("Check", bound=Callable[..., Any])


class Kind(StrEnum):
    HOST = "host"  #: `host.sock`: who may open it is the operator
    AGENT = "agent"  #: an agent's own socket, or the manager's
    TCP = "tcp"  #: whoever reaches it: each request brings a token


@dataclass(frozen=True, slots=True)
class Door:
    """Where a request came in."""

    kind: Kind
    agent: AgentName | None = None

    def caller(self, uid: int | None) -> Caller | None:
        """Whom the door itself tells of; None where a token has to."""
        match self.kind:
            case Kind.HOST:
                return Caller(Role.OPERATOR, OPERATOR if uid is None else user(uid))
            case Kind.AGENT if self.agent is not None:
                role = Role.MANAGER if self.agent.is_manager else Role.AGENT
                return Caller(role, self.agent, self.agent)
            case _:
                return None


def peer_of(connection: socket.socket) -> int | None:
    """The uid at the other end of a local socket, as it was when that end was opened."""
    if connection.family != socket.AF_UNIX:
        return None
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return cast(int, _PEER.unpack(said)[1])


def user(uid: int) -> str:
    """As `cli.boundary.requester` would call them."""
    try:
        return _named(uid)
    except KeyError:
        return f"uid {uid}"


@lru_cache(maxsize=256)
def _named(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def host_of(request: Request) -> Host:
    return cast(Host, request.app.state.host)


def caller_of(request: Request) -> Caller:
    """As `Identified` has found out, before anything else was looked at."""
    return cast(Caller, request.state.caller)


def who_asks(host: Host, door: Door, uid: int | None, said: str) -> Caller:
    """Raises `Refused`, code `no-token`, where a token is asked for and none that is good came."""
    return door.caller(uid) or _bearer(host, said)


def _bearer(host: Host, said: str) -> Caller:
    kind, _, token = said.partition(" ")
    if kind.lower() != "bearer":
        raise Refused(
            "over TCP each request brings a token",
            code="no-token",
            hint="Authorization: Bearer hive_…; `hive token create` makes one",
        )
    return tokens.caller(host, token.strip())


def refuse_pages(headers: Mapping[str, str]) -> None:
    """Raises `Refused`, code `cross-site`, where a browser asks for a page of somebody else.

    Such a page has nothing to ask with: no cookie is ever set or read, and a token is none that a
    browser sends by itself. So this is the second bolt, not the first.
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    is_own = origin is None or urlsplit(origin).netloc == host
    if not is_own or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused(
            "a page of another place has no business here",
            code="cross-site",
            hint="ask with a program, or through a proxy that says who it is",
        )


def is_still_known(request: Request) -> bool:
    """Whoever began to listen is who they were; asked again while they do."""
    state, said = request.state, request.headers.get("authorization", "")
    try:
        again = who_asks(host_of(request), state.door, state.uid, said)
    except Refused:
        return False
    return again == caller_of(request)


class Identified:
    """Who asks is known before a path or a body is looked at; who is not, is told nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        state, said = request.state, request.headers.get("authorization", "")
        try:
            refuse_pages(request.headers)
            state.caller = state.door.caller(state.uid) or await run_in_threadpool(
                _bearer, host_of(request), said
            )
        except HiveError as error:
            await problems.problem(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _known(request: Request) -> Caller:
    """Not in a thread of its own, as FastAPI asks what is no coroutine: that costs more."""
    return caller_of(request)


async def _here(request: Request) -> Host:
    return host_of(request)


Known = Annotated[Caller, Depends(_known)]
Here = Annotated[Host, Depends(_here)]


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody who may ask what they ask."""

    host: Host
    caller: Caller

    @property
    def by(self) -> str:
        return self.caller.name


def of_all(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own
    """May be asked by who may do this, about nobody in particular."""

    async def check(host: Here, caller: Known) -> Asking:
        caller.refuse_unless(action)
        return Asking(host, caller)

    return _checked(action, check, "all")


def of_agent(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own
    """About the agent `name` of the path."""

    async def check(host: Here, caller: Known, name: str) -> Asking:
        caller.refuse_unless(action, name)
        return Asking(host, caller)

    return _checked(action, check, "agent")


def of_inbox(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own
    """About the `recipient` of the path."""

    async def check(host: Here, caller: Known, recipient: str) -> Asking:
        caller.refuse_unless(action, recipient)
        return Asking(host, caller)

    return _checked(action, check, "inbox")


def of_itself(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own
    """About who asks."""

    async def check(host: Here, caller: Known) -> Asking:
        caller.refuse_unless(action, caller.agent)
        return Asking(host, caller)

    return _checked(action, check, "itself")


def of_job(action: Action) -> Any:  # noqa: ANN401 - FastAPI's own
    """About the job `number` of the path: its agent, and who has asked for it."""

    def check(host: Here, caller: Known, number: int) -> Asking:
        job = _found(host, caller, action, number)
        caller.refuse_unless(action, job.agent, requested_by=job.requested_by)
        return Asking(host, caller)

    return _checked(action, check, "job")


def _found(host: Host, caller: Caller, action: Action, number: int) -> Job:
    """Who may do nothing of the kind does not learn which jobs there are."""
    if reach(caller.role, action) is None:
        caller.refuse_unless(action)
    return find(host, JobId(number))


def action_of(call: object) -> Action | None:
    """What an endpoint's check is a check of."""
    return getattr(call, "action", None)


def reach_of(call: object) -> str | None:
    """Whom an endpoint is about, as its check takes it."""
    return getattr(call, "of", None)


def _checked(action: Action, check: Check, of: str) -> Any:  # noqa: ANN401 - FastAPI's own
    check.action, check.of = action, of  # type: ignore[attr-defined]  # for the docs and the tests
    return Depends(check)
