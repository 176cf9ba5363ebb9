"""What happens in the fleet."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from hive.api import answers, shapes
from hive.api.identity import Asking, host_of, of_all
from hive.api.jobs import LAST, since
from hive.api.streams import EventsBehind, server_sent
from hive.domain.authority import Action
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.service import fleet

router: Final = APIRouter(tags=["events"])
OfJob = Annotated[int | None, Query(ge=1, le=shapes.LAST)]


@router.get("/events", responses=answers.lists(shapes.Event))
def listed(
    after: Annotated[int | None, LAST] = None,
    kind: str | None = None,
    agent: str | None = None,
    job: OfJob = None,
    limit: Annotated[int, Query(ge=1, le=shapes.MOST)] = shapes.MOST,
    who: Asking = of_all(Action.LOOK),
) -> JSONResponse:
    """Those behind `after`, oldest first; without it, those among the last `limit`."""
    found = fleet.happened(
        who.host, after=after, kind=kind, limit=limit,
        job=JobId(job) if job else None, agent=AgentName(agent) if agent else None,
    )  # fmt: skip
    following = str(found[-1].seq) if len(found) == limit else None
    return answers.page([event.as_json() for event in found], following)


@router.get(
    "/events/live",
    responses=answers.streams("Events as they happen."),
    response_class=StreamingResponse,
    dependencies=[of_all(Action.LOOK)],
)
async def live(
    request: Request,
    after: Annotated[int | None, LAST] = None,
    kind: str | None = None,
    agent: str | None = None,
    job: OfJob = None,
    last: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:
    """Each under its own kind; from `Last-Event-ID` or `after` on, without either from now on."""
    name, of_job = AgentName(agent) if agent else None, JobId(job) if job else None
    seen = since(last, after)
    if seen is None:  # before the answer begins: what happens from then on is heard
        seen = await run_in_threadpool(fleet.newest, host_of(request))
    return server_sent(request, EventsBehind(seen, kind, name, of_job))
