"""Workers, and the nodes that they work on."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from hive.api import answers, shapes
from hive.api.identity import Asking, of_all
from hive.domain.authority import Action
from hive.domain.names import NodeName
from hive.queue.host import Host
from hive.service import fleet

router: Final = APIRouter(tags=["nodes"])


@router.get("/workers", responses=answers.lists(shapes.Worker))
def workers(who: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """Who works on jobs, on which node, and what each one runs."""
    return answers.page([view.as_json() for view in fleet.listed(who.host)])


@router.get("/nodes", responses=answers.lists(shapes.Node))
def nodes(who: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """The hosts of the fleet, as far as the database tells."""
    return answers.page([view.as_json() for view in fleet.nodes(who.host)])


@router.post("/nodes/{node}/pause", responses=answers.says(shapes.Node))
def pause(node: str, who: Asking = of_all(Action.PAUSE)) -> JSONResponse:
    """Claim nothing new there; what runs goes on."""
    name = NodeName(node)
    fleet.pause(who.host, name, by=who.by)
    return _shown(who.host, name)


@router.post("/nodes/{node}/resume", responses=answers.says(shapes.Node))
def resume(node: str, who: Asking = of_all(Action.PAUSE)) -> JSONResponse:
    """Claim jobs there again."""
    name = NodeName(node)
    fleet.resume(who.host, name)
    return _shown(who.host, name)


def _shown(host: Host, name: NodeName) -> JSONResponse:
    found = (view.as_json() for view in fleet.nodes(host) if view.node.name == name)
    return answers.one(next(found, {"name": name, "silent": True}))
