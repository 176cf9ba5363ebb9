"""What is asked for by the clock."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from hive.api import answers, shapes
from hive.api.identity import Asking, of_all
from hive.domain.authority import Action
from hive.domain.schedule import Cron, ScheduleName
from hive.queue.host import Host
from hive.service import jobs, schedules

router: Final = APIRouter(tags=["schedules"])


@router.get("/schedules", responses=answers.lists(shapes.Schedule))
def listed(who: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """Every schedule, when it fired last and when it will."""
    return answers.page([view.as_json() for view in schedules.listed(who.host)])


@router.post("/schedules", status_code=201, responses=answers.says(shapes.AddedSchedule, 201))
def add(body: shapes.NewSchedule, who: Asking = of_all(Action.SCHEDULE)) -> JSONResponse:
    """Ask for something again and again; the same twice is once."""
    name, cron = ScheduleName(body.name), Cron.of(body.cron, body.zone)
    _, is_new = schedules.add(who.host, name, cron, body.verb, body.catch_up)
    return answers.one({**_shown(who.host, name), "new": is_new}, 201)


@router.delete("/schedules/{name}", status_code=204, responses=answers.gone())
def remove(name: str, who: Asking = of_all(Action.SCHEDULE)) -> Response:
    """Forget it; a default that was removed does not come back."""
    schedules.remove(who.host, ScheduleName(name))
    return Response(status_code=204)


@router.post("/schedules/{name}/enable", responses=answers.says(shapes.Schedule))
def enable(name: str, who: Asking = of_all(Action.SCHEDULE)) -> JSONResponse:
    """Let it fire from now on."""
    return _switched(who.host, name, enabled=True)


@router.post("/schedules/{name}/disable", responses=answers.says(shapes.Schedule))
def disable(name: str, who: Asking = of_all(Action.SCHEDULE)) -> JSONResponse:
    """Keep it, and let it fire no more."""
    return _switched(who.host, name, enabled=False)


@router.post("/schedules/{name}/run", status_code=202, responses=answers.lists(shapes.Job, 202))
def run(name: str, who: Asking = of_all(Action.SCHEDULE)) -> JSONResponse:
    """Its jobs, now; its next fire stays when it is."""
    made = schedules.run(who.host, ScheduleName(name), by=who.by)
    shown = jobs.shown(who.host, [job.id for job in made])
    return answers.page([view.as_json() for view in shown], status=202)


def _switched(host: Host, name: str, *, enabled: bool) -> JSONResponse:
    schedules.set_enabled(host, ScheduleName(name), enabled)
    return answers.one(_shown(host, ScheduleName(name)))


def _shown(host: Host, name: ScheduleName) -> dict[str, object]:
    found = (view for view in schedules.listed(host) if view.schedule.name == name)
    return next(found).as_json()
