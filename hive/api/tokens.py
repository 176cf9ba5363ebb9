"""Tokens, and who one is."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from hive.api import answers, shapes
from hive.api.identity import Asking, of_all
from hive.domain.authority import TABLE, Action
from hive.domain.names import AgentName
from hive.service import tokens

router: Final = APIRouter(tags=["tokens"])


@router.get("/whoami", responses=answers.says(shapes.Whoami))
def whoami(who: Asking = of_all(Action.GREET)) -> JSONResponse:
    """Who one is to this hive, and what one may do."""
    host, caller = who.host, who.caller
    may = {action.value: reach.value for action, reach in TABLE[caller.role].items()}
    named = {"name": caller.name, "role": caller.role.value, "agent": caller.agent}
    return answers.one({**named, "node": host.node, "version": host.version, "may": may})


@router.get("/tokens", responses=answers.lists(shapes.Token))
def listed(who: Asking = of_all(Action.TOKENS)) -> JSONResponse:
    """Every token, also those that are not good any more; never a secret."""
    return answers.page([view.as_json() for view in tokens.listed(who.host)])


@router.post("/tokens", status_code=201, responses=answers.says(shapes.MadeToken, 201))
def create(body: shapes.NewToken, who: Asking = of_all(Action.TOKENS)) -> JSONResponse:
    """Make one. What its owner brings is said this once, so that no key makes it be said again."""
    view, said = tokens.create(
        who.host, body.role, by=who.by,
        agent=AgentName(body.agent) if body.agent else None,
        expires=timedelta(seconds=body.expires) if body.expires else None,
    )  # fmt: skip
    return answers.one({**view.as_json(), "token": said}, 201)


@router.delete("/tokens/{number}", status_code=204, responses=answers.gone())
def revoke(
    number: Annotated[int, Path(ge=1, le=shapes.LAST)], who: Asking = of_all(Action.TOKENS)
) -> Response:
    """Make it no good any more, from the next request on. Twice is once."""
    tokens.revoke(who.host, number)
    return Response(status_code=204)
