"""Whether hive is there, whether it can work, and its figures."""

from __future__ import annotations

from typing import Final, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from hive.api import answers, metrics, shapes
from hive.api.identity import Asking, of_all
from hive.domain.authority import Action
from hive.service import figures, fleet

router: Final = APIRouter(tags=["health"])


@router.get("/healthz", responses=answers.says(shapes.Well))
def alive(who: Asking = of_all(Action.GREET)) -> JSONResponse:
    """The process answers."""
    return answers.one({"ok": True, "version": who.host.version})


@router.get("/readyz", responses=answers.says(shapes.Well))
def ready(who: Asking = of_all(Action.GREET)) -> JSONResponse:
    """The database answers too; 503 where it does not."""
    fleet.nodes(who.host)
    return answers.one({"ok": True, "version": who.host.version})


@router.get("/metrics", responses=answers.figures(), response_class=PlainTextResponse)
def measured(who: Asking = of_all(Action.LOOK)) -> PlainTextResponse:
    """As Prometheus reads them."""
    return PlainTextResponse(metrics.text(figures.of(who.host)), media_type=metrics.MEDIA)


@router.get("/openapi.json", responses=answers.describes())
def description(request: Request, who: Asking = of_all(Action.GREET)) -> JSONResponse:
    """All of the API, described for programs."""
    return JSONResponse(cast(FastAPI, request.app).openapi(), headers={"X-Hive": who.host.version})
