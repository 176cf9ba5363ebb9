"""Agents: what is so of them, and their settings."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from hive.api import answers, shapes
from hive.api.identity import Asking, of_agent, of_all, of_itself
from hive.api.said import OwnStatus
from hive.domain.authority import Action
from hive.domain.names import AgentName
from hive.service import agents, jobs, kept, lifecycle, own_word, status
from hive.service.asking import node_of
from hive.service.lifecycle import Asked

router: Final = APIRouter(tags=["agents"])


@router.get("/agents", responses=answers.lists(shapes.Agent))
def listed(asking: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """Every agent that is not destroyed."""
    return answers.page([view.as_json() for view in agents.listed(asking.host)])


@router.get("/agents/{name}", responses=answers.says(shapes.Agent))
def show(name: str, asking: Asking = of_agent(Action.SHOW_AGENT)) -> JSONResponse:
    """What is wanted of one, and what is so."""
    return answers.one(agents.show(asking.host, AgentName(name)).as_json())


@router.patch("/agents/{name}", responses=answers.says(shapes.ChangedAgent))
def change(
    name: str,
    body: shapes.Settings,
    node: str | None = None,
    asking: Asking = of_agent(Action.SET),
) -> JSONResponse:
    """Change settings. Limits hold at once, by the job that is named; the rest with a rebuild."""
    host, checked, where = asking.host, AgentName(name), node_of(node)
    submitted = lifecycle.change(host, checked, Asked(asking.by, None, where), body.settings)
    shown = agents.show(host, checked, where).as_json()
    limit = jobs.show(host, submitted.job.id).as_json() if submitted else None
    return answers.one({**shown, "limit": limit})


@router.get("/kept", responses=answers.lists(shapes.Kept))
def listed_kept(asking: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """What is kept of agents that were destroyed."""
    return answers.page([view.as_json() for view in kept.kept(asking.host)])


@router.get("/status", responses=answers.says(shapes.Status))
def fleet(asking: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """The fleet at one moment."""
    return answers.one(status.status(asking.host).as_json())


@router.post("/status", status_code=202, responses=answers.says(shapes.OwnWord, 202))
def tell(body: OwnStatus, asking: Asking = of_itself(Action.TELL_STATUS)) -> JSONResponse:
    """An agent's own word on what it does: an event, `agent.status`, or of what it is `about`.

    Then it is a message to the manager, too.
    """
    assert asking.caller.agent is not None
    told = own_word.tell(asking.host, asking.caller.agent, body.text, body.about)
    return answers.one(told, 202)
