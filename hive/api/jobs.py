"""Jobs: asked for, looked at, and decided about. None is ever run in a request."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from hive.api import answers, shapes
from hive.api.identity import Asking, Here, Known, of_all, of_job
from hive.api.streams import LinesOf, server_sent
from hive.domain.authority import Action, Role
from hive.domain.job import Job, JobId, JobState
from hive.domain.names import AgentName
from hive.queue.host import Host
from hive.service import agents, approvals, asking, diffs, jobs, plans, sweeps
from hive.service.asking import Wish, node_of
from hive.service.lifecycle import Asked

router: Final = APIRouter(tags=["jobs"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
LAST: Final = Query(ge=0, le=2**63 - 1)


@router.get("/jobs", responses=answers.lists(shapes.Job))
def listed(
    state: JobState | None = None,
    agent: str | None = None,
    kind: str | None = None,
    limit: Annotated[int, Query(ge=1, le=shapes.MOST)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,10}$")] = None,
    who: Asking = of_all(Action.LOOK),
) -> JSONResponse:
    """The newest first; `cursor` is the `next` of the page before."""
    before = None if cursor is None else JobId(min(int(cursor), shapes.LAST))
    name = AgentName(agent) if agent else None
    found = jobs.listed(
        who.host, state=state, agent=name, kind=kind, before=before, limit=limit
    )  # fmt: skip
    is_more = len(found) == limit
    return answers.page(
        [view.as_json() for view in found], str(found[-1].job.id) if is_more else None
    )


@router.post("/jobs", status_code=202, responses=answers.submits())
def submit(body: shapes.NewJob, host: Here, caller: Known, key: Key = None) -> JSONResponse:
    """Ask for a job: accepted means that it is on the disk. Of many, a page of them.

    What the manager spawns waits for an operator, unless the policy lets it pass.
    """
    caller.refuse_unless(Action(body.kind.value), body.agent)
    wish = Wish(
        kind=body.kind.value,
        agent=AgentName(body.agent) if body.agent is not None else None,
        rev=body.rev,
        message=body.message,
        restart=body.restart,
        to=JobId(body.to) if body.to else None,
        all_nodes=body.all_nodes,
        is_gated=caller.role is not Role.OPERATOR,
    )
    asked = Asked(caller.name, _own(key, caller.role, caller.name), node_of(body.node))
    if wish.is_many:
        caller.refuse_unless(Action(body.kind.value), caller.agent)
        many = asking.submit_many(host, wish, asked)
        made = jobs.shown(host, [job.id for job in many])
        return answers.page([view.as_json() for view in made])
    submitted = asking.submit(host, wish, asked)
    shown = jobs.accepted(host, submitted).as_json()
    return answers.one({**shown, "new": submitted.is_new}, 202)


@router.get("/jobs/{number}", responses=answers.says(shapes.Job))
def show(number: int, who: Asking = of_job(Action.LOOK)) -> JSONResponse:
    """One job, and the steps of its last attempt."""
    return _shown(who.host, number)


@router.get("/jobs/{number}/children", responses=answers.lists(shapes.Job))
def children(number: int, who: Asking = of_job(Action.LOOK)) -> JSONResponse:
    """The jobs that it left behind, oldest first."""
    return answers.page([view.as_json() for view in jobs.children(who.host, JobId(number))])


@router.post("/jobs/{number}/cancel", responses=answers.says(shapes.Job))
def cancel(number: int, who: Asking = of_job(Action.CANCEL)) -> JSONResponse:
    """Stop it: at once where it has not begun; else its program is ended first."""
    return _after(who.host, jobs.cancel(who.host, JobId(number)))


@router.post("/jobs/{number}/retry", responses=answers.says(shapes.Job))
def retry(number: int, who: Asking = of_job(Action.RETRY)) -> JSONResponse:
    """Run a failed or cancelled one again, under its own number."""
    return _after(who.host, agents.retry(who.host, JobId(number)))


@router.post("/jobs/{number}/approve", responses=answers.says(shapes.Job))
def approve(
    number: int,
    body: shapes.Approval | None = None,
    who: Asking = of_job(Action.APPROVE),
) -> JSONResponse:
    """Let one that waits go on; 409 where it would deploy another closure than `expected`."""
    expect = body.expected if body else None
    return _after(
        who.host, approvals.approve(who.host, JobId(number), by=who.by, expect=expect)
    )  # fmt: skip


@router.post("/jobs/{number}/deny", responses=answers.says(shapes.Job))
def deny(
    number: int,
    body: shapes.Denial | None = None,
    who: Asking = of_job(Action.DENY),
) -> JSONResponse:
    """Say no to one that waits."""
    note = body.note if body else ""
    return _after(who.host, approvals.deny(who.host, JobId(number), note=note))


@router.post("/jobs/{number}/withdraw", responses=answers.says(shapes.Job))
def withdraw(number: int, who: Asking = of_job(Action.WITHDRAW)) -> JSONResponse:
    """Take back a proposal that waits."""
    return _after(who.host, approvals.withdraw(who.host, JobId(number)))


@router.get("/jobs/{number}/diff", responses=answers.says(shapes.Diff))
def diff(number: int, who: Asking = of_job(Action.LOOK)) -> JSONResponse:
    """What a proposal changes: its commits, its files, and, once built, its packages."""
    return answers.one(diffs.of(who.host, JobId(number)).as_json())


@router.get("/jobs/{number}/logs", responses=answers.lists(shapes.Line))
def logs(
    number: int,
    after: Annotated[int, LAST] = 0,
    limit: Annotated[int, Query(ge=1, le=shapes.MOST)] = shapes.MOST,
    who: Asking = of_job(Action.READ_LOGS),
) -> JSONResponse:
    """Its lines behind `after`, oldest first; `next` is the `after` of the page behind."""
    found = jobs.lines(who.host, JobId(number), after=after, limit=limit)
    following = str(found[-1].seq) if len(found) == limit else None
    return answers.page([jobs.line_as_json(line) for line in found], following)


@router.get(
    "/jobs/{number}/logs/live",
    responses=answers.streams("Its lines as they come."),
    response_class=StreamingResponse,
    dependencies=[of_job(Action.READ_LOGS)],
)
async def live_logs(
    request: Request,
    number: int,
    after: Annotated[int, LAST] = 0,
    last: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> StreamingResponse:
    """Each line is an event `line`; the last is an event `end`, with the job's state."""
    return server_sent(request, LinesOf(JobId(number), since(last, after) or 0))


@router.get("/pending", responses=answers.lists(shapes.Job))
def pending(who: Asking = of_all(Action.LOOK)) -> JSONResponse:
    """What waits for an operator, oldest first."""
    return answers.page([view.as_json() for view in approvals.pending(who.host)])


@router.get("/plan/{verb}", responses=answers.plans())
def plan(
    verb: shapes.Ask,
    agent: str | None = None,
    rev: str | None = None,
    to: Annotated[int | None, Query(ge=1, le=shapes.LAST)] = None,
    node: str | None = None,
    who: Asking = of_all(Action.LOOK),
) -> JSONResponse:
    """What a verb would find right now, step by step; of reconcile, what differs."""
    if verb is shapes.Ask.RECONCILE:
        return answers.one(sweeps.planned(who.host, node=node_of(node)).as_json())
    wish = Wish(
        kind=verb.value, agent=AgentName(agent) if agent else None,
        rev=rev, to=JobId(to) if to else None,
    )  # fmt: skip
    found = asking.planned(who.host, wish, node=node_of(node))
    return answers.page([plans.step_as_json(*one) for one in found])


def _own(key: str | None, role: Role, name: str) -> str | None:
    """Keys are the operator's as they are; nobody else can use up, or look into, another's."""
    return key if key is None or role is Role.OPERATOR else f"{name}:{key}"


def since(last: str | None, after: int | None) -> int | None:
    """What a client that comes back has seen wins."""
    return int(last) if last and last.isascii() and last.isdecimal() and len(last) < 19 else after


def _after(host: Host, job: Job) -> JSONResponse:
    return _shown(host, job.id)


def _shown(host: Host, number: int) -> JSONResponse:
    return answers.one(jobs.show(host, JobId(number)).as_json())
