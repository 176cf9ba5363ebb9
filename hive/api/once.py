"""`Idempotency-Key`: a POST that is sent again, as its answer was lost, is not done again."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hive.api import problems
from hive.api.identity import caller_of, host_of
from hive.errors import HiveError, Refused
from hive.service import once
from hive.service.once import Request

HEADER: Final = "idempotency-key"
LONGEST: Final = 200
LARGEST: Final = 1_000_000
"""Characters of an answer that is kept: an agent fills no disk with what it takes again."""
AGAIN: Final = "Idempotent-Replay"
PASSED: Final = frozenset({"/v1/tokens", "/v1/jobs", "/v1/messages"})
"""A secret is stored nowhere; a job's row and a message's know their key themselves, for ever."""


class Once:
    """What was refused or failed has done nothing, and is not kept: it may be tried again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(scope, receive)
        key = asked.headers.get(HEADER)
        if scope["method"] != "POST" or key is None or scope["path"] in PASSED:
            await self._app(scope, receive, send)
            return
        try:
            request, body = await _request(asked, key)
            known = await run_in_threadpool(once.answered, host_of(asked), request)
        except HiveError as error:
            await problems.problem(error)(scope, receive, send)
            return
        if known is not None:
            said = Response(known.body, known.status, {AGAIN: "true"}, "application/json")
            await said(scope, receive, send)
            return
        await self._kept(asked, request, body, send)

    async def _kept(self, asked: Asked, request: Request, body: bytes, send: Send) -> None:
        """Written down before it is sent: an answer that arrived is the one that stays."""
        said: list[Message] = []

        async def hold(message: Message) -> None:
            said.append(message)

        await self._app(asked.scope, _given(body, asked.receive), hold)
        status = next(one["status"] for one in said if one["type"] == "http.response.start")
        text = b"".join(one.get("body", b"") for one in said).decode()
        if status < 400 and len(text) <= LARGEST:
            await run_in_threadpool(once.keep, host_of(asked), request, status, text)
        for message in said:
            await send(message)


async def _request(asked: Asked, key: str) -> tuple[Request, bytes]:
    if not 0 < len(key) <= LONGEST:
        raise Refused(
            f"a key has 1 to {LONGEST} characters", code="bad-request", hint="see docs/api.md"
        )
    caller = caller_of(asked)
    body = await asked.body()
    what = b"\n".join((asked.url.path.encode(), asked.url.query.encode(), body))
    return Request(f"{caller.role}:{caller.name}", key, what), body


def _given(body: bytes, receive: Receive) -> Receive:
    """The body that was read already; after it, what the connection says."""
    left: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return left.pop() if left else await receive()

    return given
