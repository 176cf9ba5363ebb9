"""Proposals: a commit is proposed, looked at, and approved or denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.boundary import agent_name, asked, say
from cli.follow import AsJson, Detach, Id, Key, follow, submitted
from cli.lifecycle import Name
from cli.output import show_diff, show_json, show_pending
from cli.power import Restart, restarts
from hive.domain.job import JobState
from hive.errors import Refused

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Job

UNSEEN: Final = ("no-diff", "other-node")
"""Why there is nothing to look at."""

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
    agent_name(name)
    chosen = restarts(restart)
    with asked() as hive:
        job = hive.submit("propose", name, rev=rev, message=message, restart=chosen, key=key)
        submitted(hive, job, detach=detach, as_json=as_json)
        if not detach and _waits(hive, job["id"]):
            say(f"job {job['id']} waits: `hive diff {job['id']}`, then `hive approve {job['id']}`")


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
    agent_name(name)
    chosen = restarts(restart)
    with asked() as hive:
        job = hive.submit("apply", name, rev=rev, message=message, restart=chosen, key=key)
        if not job["new"]:
            _approve_once_it_waits(hive, job["id"])
        submitted(hive, job, detach=detach, as_json=as_json)


def rollback(
    name: Name,
    to: Annotated[int | None, typer.Option("--to", metavar="ID", help="An earlier deploy.")] = None,
    key: Key = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Go back to what an earlier job deployed, by a new job."""
    agent_name(name)
    with asked() as hive:
        job = hive.submit("rollback", name, to=to, key=key)
        follow(hive, job, detach=detach, as_json=as_json)


def approve(
    job: Id,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="CLOSURE", help="Refuse any other closure.")
    ] = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Let a job that waits go on, and follow it."""
    with asked() as hive:
        for commit in _undone(hive, job):
            say(f"it does not hold what is deployed, and undoes: {commit}")
        approved = hive.approve(job, expected=expect)
        follow(hive, approved, detach=detach, as_json=as_json)


def deny(
    job: Id,
    note: Annotated[str, typer.Option("--note", help="Why, for who proposed it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say no to a job that waits."""
    with asked() as hive:
        _told(hive.deny(job, note=note), as_json=as_json)


def withdraw(job: Id, as_json: AsJson = False) -> None:
    """Take back a proposal that waits."""
    with asked() as hive:
        _told(hive.withdraw(job), as_json=as_json)


def diff(
    job: Id,
    patch: Annotated[bool, typer.Option("--patch", "-p", help="Each line that changes.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a proposal changes: its commits, its files, and, once built, its packages."""
    with asked() as hive:
        found = hive.diff(job)
        if as_json:
            show_json(found)
        else:
            show_diff(found, patch=patch)


def pending(as_json: AsJson = False) -> None:
    """What waits for an operator."""
    with asked() as hive:
        found = hive.pending()["items"]
        if as_json:
            show_json(found)
        else:
            show_pending(found)


def _waits(hive: Hive, job: int) -> bool:
    return JobState(hive.job(job)["state"]) is JobState.WAITING


def _approve_once_it_waits(hive: Hive, job: int) -> None:
    """It was proposed before, and nobody has said yes yet: now somebody has."""
    hive.see_through(job)
    if _waits(hive, job) and hive.job(job)["approved_by"] is None:
        hive.approve(job)


def _undone(hive: Hive, job: int) -> list[str]:
    """What an operator should hear before the word is given; nothing where nobody can look."""
    try:
        return hive.diff(job)["undone"]
    except Refused as error:
        if error.code in UNSEEN:
            return []
        raise


def _told(job: Job, *, as_json: bool) -> None:
    if as_json:
        show_json(job)
    say(f"job {job['id']} is {job['state']}")
