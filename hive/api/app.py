"""The application: every route over one host. It decides nothing, and runs no job."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hive.api import agents, events, health, inbox, jobs, nodes, problems, schedules, tokens
from hive.api.shapes import Problem
from hive.api.streams import Reader
from hive.queue.host import Host

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router, tokens.router, agents.router, jobs.router, events.router, inbox.router,
    schedules.router, nodes.router,
)  # fmt: skip
PREFIX: Final = "/v1"
LARGEST: Final = 1024 * 1024
"""Bytes of a request's body."""
ABOUT: Final = """\
A fleet of AI agents in NixOS containers. Who asks is known by the socket, or over TCP by a token:
`Authorization: Bearer hive_…`. Errors are `application/problem+json`."""


def build_app(host: Host, reader: Reader | None = None) -> FastAPI:
    """Without a reader nothing can be listened to: for its description alone."""
    app = FastAPI(
        title="hive",
        version="1",
        description=ABOUT,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.host, app.state.reader = host, reader
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router, include_in_schema=False)  # where probes look for it
    app.add_middleware(Bounded)
    return app


class Bounded:
    """What is sent too long is refused before it is read whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 9 or int(length) > LARGEST:
            await problems.too_large()(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > LARGEST:
                raise HTTPException(413)  # the one kind that FastAPI passes on from a body
            return message

        await self._app(scope, counted, send)


def described(app: FastAPI) -> dict[str, Any]:
    """The description of the API, with the shape of its errors."""
    said = app.openapi()
    shapes = said["components"]["schemas"]
    shapes[Problem.__name__] = Problem.model_json_schema()
    return said
