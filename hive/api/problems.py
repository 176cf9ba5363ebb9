"""What can go wrong, as an answer: `application/problem+json` with hive's own code and hint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hive.errors import Fault, HiveError, IllegalMove, NotFound, Refused, Transient

MEDIA: Final = "application/problem+json"
OF_CODE: Final[Mapping[str, int]] = {
    "no-token": 401, "not-allowed": 403, "cross-site": 403, "too-large": 413,
    "other-closure": 409, "key-reused": 409, "port-taken": 409, "schedule-exists": 409,
    "already-live": 409,
}  # fmt: skip
OF_CLASS: Final[Mapping[type[HiveError], int]] = {
    NotFound: 404, IllegalMove: 409, Refused: 422, Transient: 503, Fault: 500,
}  # fmt: skip
EXTRA: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Bearer"},
    413: {"Connection": "close"},
    503: {"Retry-After": "1"},
}

log = logging.getLogger("hive.api")


def status_of(error: HiveError) -> int:
    of_class = next((OF_CLASS[kind] for kind in OF_CLASS if isinstance(error, kind)), 500)
    return OF_CODE.get(error.code, of_class)


def problem(error: HiveError) -> JSONResponse:
    status = status_of(error)
    return JSONResponse(as_json(error), status, EXTRA.get(status), MEDIA)


def as_json(error: HiveError) -> dict[str, Any]:
    return {
        "type": f"urn:hive:error:{error.code}",
        "title": next(kind.__name__ for kind in OF_CLASS if isinstance(error, kind)),
        "status": status_of(error),
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
    }


def unknown() -> JSONResponse:
    """What it was is in the journal alone: a traceback tells more than an answer should."""
    said, hint = "hive is wrong; its journal says where", "report it, with what stands there"
    return problem(Fault(said, code="fault", hint=hint))


def too_large() -> JSONResponse:
    said = Refused("a body has at most a mebibyte", code="too-large", hint="send less, or in parts")
    return problem(said)


def install(app: FastAPI) -> None:
    app.add_exception_handler(HiveError, _ours)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _fault)


def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HiveError)
    if isinstance(error, Fault):
        log.error("api.fault because=%s", error.message, exc_info=error)
    return problem(error)


def _unfit(_: Request, error: Exception) -> JSONResponse:
    """Which field, and what it should be; never what was sent, as it may be a secret."""
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{_place(one)}: {one['msg']}" for one in error.errors()[:5])
    return problem(Refused(said, code="bad-request", hint="see docs/api.md"))


def _place(one: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in one["loc"])


def _no_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code in (404, 405):
        what = f"there is no {request.method} {request.url.path}"
        return problem(NotFound(what, code="no-such-endpoint", hint="see docs/api.md"))
    if error.status_code == 413:
        return too_large()
    return problem(Refused(str(error.detail), code="bad-request", hint="see docs/api.md"))


def _fault(_: Request, error: Exception) -> JSONResponse:
    log.error("api.fault because=%r", error, exc_info=error)
    return unknown()
