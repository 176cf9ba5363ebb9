"""Proposals: a commit is proposed, looked at, and approved or denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, connected, requester, say
from cli.follow import AsJson, Detach, Id, Key, follow
from cli.lifecycle import Name
from cli.output import show_diff, show_json, show_pending
from cli.power import Restart, restarts
from hive.domain.job import JobId, JobState

if TYPE_CHECKING:
    from hive.domain.job import Job
    from hive.queue.host import Host

Rev = Annotated[str, typer.Argument(metavar="REV", help="A commit: 7 to 40 hex digits.")]
Message = Annotated[str | None, typer.Option("--message", "-m", help="What it is for.")]


def propose(
    name: Name,
    rev: Rev,
    message: Message = None,
    restart: Restart = "auto",
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Pin a commit of an agent's proposed repo, build it, and let it wait for an operator."""
    checked, chosen = agent_name(name), restarts(restart)
    with connected() as host:
        from hive.service import lifecycle

        asked = lifecycle.Asked(requester(), key)
        job, is_new = lifecycle.propose(host, checked, rev, asked, message=message, restarts=chosen)
        if not is_new:
            say(f"job {job.id} does this already")
        _followed(host, job, detach=detach, as_json=as_json)


def apply(
    name: Name,
    rev: Rev,
    message: Message = None,
    restart: Restart = "auto",
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Propose a commit, and approve it with the same word."""
    checked, chosen = agent_name(name), restarts(restart)
    with connected() as host:
        from hive.service import approvals, jobs, lifecycle

        asked = lifecycle.Asked(requester(), key)
        job, is_new = lifecycle.propose(
            host, checked, rev, asked, message=message, approved=True, restarts=chosen
        )
        if not is_new:
            say(f"job {job.id} does this already")
            job = jobs.run(host, job.id)
            if lifecycle.is_unapproved(job):
                job = approvals.approve(host, job.id, by=requester())
        follow(host, job, detach=detach, as_json=as_json)


def rollback(
    name: Name,
    to: Annotated[int | None, typer.Option("--to", metavar="ID", help="An earlier deploy.")] = None,
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Go back to what an earlier job deployed, by a new job."""
    checked = agent_name(name)
    with connected() as host:
        from hive.service import lifecycle

        asked = lifecycle.Asked(requester(), key)
        job, _ = lifecycle.rollback(host, checked, asked, to=None if to is None else JobId(to))
        follow(host, job, detach=detach, as_json=as_json)


def approve(
    job: Id,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="CLOSURE", help="Refuse any other closure.")
    ] = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Let a job that waits go on, and follow it."""
    with connected() as host:
        from hive.service import approvals, diffs

        for line in diffs.warnings(host, JobId(job)):
            say(line)
        approved = approvals.approve(host, JobId(job), by=requester(), expect=expect)
        follow(host, approved, detach=detach, as_json=as_json)


def deny(
    job: Id,
    note: Annotated[str, typer.Option("--note", help="Why, for who proposed it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say no to a job that waits."""
    with connected() as host:
        from hive.service import approvals

        _told(host, approvals.deny(host, JobId(job), note=note), as_json=as_json)


def withdraw(job: Id, as_json: AsJson = False) -> None:
    """Take back a proposal that waits."""
    with connected() as host:
        from hive.service import approvals

        _told(host, approvals.withdraw(host, JobId(job)), as_json=as_json)


def diff(
    job: Id,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Each line that changes.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a proposal changes: its commits, its files, and, once built, its packages."""
    with connected() as host:
        from hive.service import diffs

        found = diffs.of(host, JobId(job))
        if as_json:
            show_json(found.as_json())
        else:
            show_diff(found, patch=patch)


def pending(as_json: AsJson = False) -> None:
    """What waits for an operator."""
    with connected() as host:
        from hive.service import approvals

        views = approvals.pending(host)
        if as_json:
            show_json([view.as_json() for view in views])
        else:
            show_pending(views)


def _followed(host: Host, job: Job, *, detach: bool, as_json: bool) -> None:
    from hive.service import jobs

    follow(host, job, detach=detach, as_json=as_json)
    if not detach and jobs.show(host, job.id).job.state is JobState.WAITING:
        say(f"job {job.id} waits: `hive diff {job.id}`, then `hive approve {job.id}`")


def _told(host: Host, job: Job, *, as_json: bool) -> None:
    from hive.service import jobs

    if as_json:
        show_json(jobs.show(host, job.id).as_json())
    say(f"job {job.id} is {job.state}")
