"""What every lifecycle verb does with its job: follow it, or leave it; then say how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, INTERRUPTED, complain, say
from cli.output import show_json
from hive.domain.job import Job, JobState

if TYPE_CHECKING:
    from hive.queue.host import Host

Id = Annotated[int, typer.Argument(metavar="ID", help="The job's number.", min=1, max=2**31 - 1)]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id, and leave it.")]
Key = Annotated[
    str | None,
    typer.Option(help="Your own name for this request: said again, it is the same job."),
]
OnNode = Annotated[str | None, typer.Option("--node", help="Another node than this one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Nothing but JSON on stdout.")]


def follow(host: Host, job: Job, *, detach: bool, as_json: bool) -> None:
    """Exits 0 when the job has succeeded or waits at its gate, 1 when it ended otherwise."""
    from cli.live import in_view
    from hive.service import jobs

    if detach:
        _leave(host, job, as_json=as_json)
        return
    try:
        with in_view(host, job.id):
            jobs.run(host, job.id)
    except KeyboardInterrupt:
        _interrupted(host, job)
    tell(host, job, as_json=as_json)


def tell(host: Host, job: Job, *, as_json: bool) -> None:
    from hive.service import jobs

    view = jobs.show(host, job.id)
    if as_json:
        show_json(view.as_json())
    elif view.job.state is JobState.SUCCEEDED:
        result = view.job.result or {}
        typer.echo(str(result.get("url") or f"job {job.id} {view.job.state}"))
    if view.job.error and view.job.state is not JobState.SUCCEEDED:
        complain(view.job.error.message, view.job.error.code, view.job.error.hint)
    if view.job.state not in (JobState.SUCCEEDED, JobState.WAITING):
        raise typer.Exit(ENDED_BADLY)


def _leave(host: Host, job: Job, *, as_json: bool) -> None:
    from hive.service import jobs

    view = jobs.show(host, job.id)
    if as_json:
        show_json(view.as_json())
    else:
        typer.echo(str(job.id))
    if view.note:
        say(view.note)
    elif job.node == host.node and not jobs.is_served(host):
        say(f"nothing runs job {job.id} until `hive up`, or `hive job run {job.id}`")


def _interrupted(host: Host, job: Job) -> None:
    from hive.service import jobs

    now = jobs.show(host, job.id).job
    if now.state is JobState.QUEUED:
        say(f"interrupted: job {job.id} is queued again; `hive job run {job.id}` goes on")
    else:
        say(f"interrupted: job {job.id} is {now.state}; `hive job show {job.id}` tells more")
    raise typer.Exit(INTERRUPTED)
