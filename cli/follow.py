"""What every lifecycle verb does with its job: follow it, or leave it; then say how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, INTERRUPTED, complain, say
from cli.hive import is_served
from cli.output import show_json
from hive.domain.job import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.hive import Hive
    from hive.client.answers import Job, Submitted

Id = Annotated[int, typer.Argument(metavar="ID", help="The job's number.", min=1, max=2**31 - 1)]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id, and leave it.")]
Key = Annotated[
    str | None,
    typer.Option(help="Your own name for this request: said again, it is the same job."),
]
OnNode = Annotated[str | None, typer.Option("--node", help="Another node than this one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Nothing but JSON on stdout.")]


def follow(hive: Hive, job: Job, *, detach: bool, as_json: bool) -> None:
    """Exits 0 when the job has succeeded or waits at its gate, 1 when it ended otherwise."""
    from cli.live import in_view

    if detach:
        _leave(hive, job["id"], as_json=as_json)
        return
    try:
        with in_view(hive, job["id"]):
            hive.see_through(job["id"])
    except KeyboardInterrupt:
        _interrupted(hive, job["id"])
    tell(hive, job["id"], as_json=as_json)


def follow_all(hive: Hive, found: Sequence[Job], *, detach: bool, as_json: bool) -> None:
    """Each to its end; the first that ended badly decides the exit, after all had their turn."""
    left: typer.Exit | None = None
    for job in found:
        try:
            follow(hive, job, detach=detach, as_json=as_json)
        except typer.Exit as ended:
            left = left or ended
    if left is not None:
        raise left


def submitted(hive: Hive, asked: Submitted, *, detach: bool, as_json: bool) -> None:
    """What was asked for now, or is under way already."""
    if not asked["new"]:
        say(f"job {asked['id']} does this already")
    follow(hive, asked, detach=detach, as_json=as_json)


def tell(hive: Hive, number: int, *, as_json: bool) -> None:
    job = hive.job(number)
    state, error = JobState(job["state"]), job["error"]
    if as_json:
        show_json(job)
    elif state is JobState.SUCCEEDED:
        result = job["result"] or {}
        typer.echo(str(result.get("url") or f"job {number} {state}"))
    if error and state is not JobState.SUCCEEDED:
        complain(error["message"], error["code"], error["hint"])
    if state not in (JobState.SUCCEEDED, JobState.WAITING):
        raise typer.Exit(ENDED_BADLY)


def _leave(hive: Hive, number: int, *, as_json: bool) -> None:
    job = hive.job(number)
    if as_json:
        show_json(job)
    else:
        typer.echo(str(number))
    if job["note"]:
        say(job["note"])
    elif job["node"] == hive.node and not is_served(hive, job["node"]):
        say(f"nothing runs job {number} until `hive up`, or `hive job run {number}`")


def _interrupted(hive: Hive, number: int) -> None:
    state = JobState(hive.job(number)["state"])
    if state is JobState.QUEUED:
        say(f"interrupted: job {number} is queued again; `hive job run {number}` goes on")
    else:
        say(f"interrupted: job {number} is {state}; `hive job show {number}` tells more")
    raise typer.Exit(INTERRUPTED)
