"""The application: every route over one host. It decides nothing, and runs no job."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hive.api import (
    agents,
    events,
    examples,
    health,
    inbox,
    jobs,
    nodes,
    problems,
    schedules,
    tokens,
)
from hive.api.identity import Identified
from hive.api.once import HEADER, Once
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


def build_app(host: Host | None, reader: Reader | None = None) -> FastAPI:
    """Without a host and a reader it can be described, and nothing else."""
    app = FastAPI(
        title="hive",
        version="1",
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.host, app.state.reader = host, reader
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router, include_in_schema=False)  # where probes look for it
    describe = app.openapi
    app.openapi = lambda: _described(describe())  # type: ignore[method-assign]
    app.add_middleware(Once)
    app.add_middleware(Bounded)
    app.add_middleware(Identified)  # outermost: what comes last is asked first
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


def _described(said: dict[str, Any]) -> dict[str, Any]:
    """With the shape of errors, an example of everything, and the key of each POST."""
    shapes = said["components"]["schemas"]
    shapes[Problem.__name__] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which no answer has
        shapes.pop(name, None)
    examples.put_into(said)
    for of_path in said["paths"].values():
        for method, operation in of_path.items():
            known = [one["name"].lower() for one in operation.get("parameters", [])]
            if method == "post" and HEADER not in known:
                operation.setdefault("parameters", []).append(dict(KEY))
    return said


KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "Your own name for this request: sent again, it is answered the same.",
}
