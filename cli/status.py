"""The fleet on one screen: once, or live."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.boundary import asked
from cli.fleet import node_cells
from cli.follow import AsJson
from cli.output import show_json, show_table
from hive.errors import Refused

if TYPE_CHECKING:
    from hive.client.answers import AgentStatus, Status

AGES: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
SIZES: Final = (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))


def status(as_json: AsJson = False) -> None:
    """The fleet as it is now: agents, what they use, jobs, the last event, nodes."""
    with asked() as hive:
        found = hive.status()
        if as_json:
            show_json(found)
        else:
            _show(found)


def top(
    every: Annotated[
        float, typer.Option(help="Seconds between two looks.", min=0.2, max=3600)
    ] = 2.0,
) -> None:
    """The fleet live in this terminal; `q` leaves."""
    with asked() as hive:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
            raise Refused(
                "`hive top` needs a terminal",
                code="no-terminal",
                hint="`hive status` is one screen of it, and `hive status --json` for programs",
            )
        from cli.top import watch

        if code := watch(hive, every=timedelta(seconds=every)):
            raise typer.Exit(code)


def _show(found: Status) -> None:
    """CPU is what a container has computed so far: one look knows no percent."""
    head = ("AGENT", "NODE", "STATE", "JOB", "MEMORY", "CPU TIME", "LAST EVENT", "NOTE")
    now = datetime.fromisoformat(found["at"])
    show_table(head, [_cells(one, now) for one in found["agents"]])
    typer.echo("")
    show_table(("NODE", "STATE", "SEEN"), [node_cells(node) for node in found["nodes"]])
    typer.echo("")
    typer.echo(f"jobs: {counted(found)}")


def _cells(one: AgentStatus, now: datetime) -> tuple[str, ...]:
    return (
        one["name"],
        one["node"],
        state_of(one),
        job_of(one),
        size(one["memory"]),
        "-" if one["cpu_seconds"] is None else f"{one['cpu_seconds']:.1f} s",
        event_of(one, now),
        note_of(one),
    )


def state_of(one: AgentStatus) -> str:
    """What is wanted stands beside it where that is not to run."""
    desired = one["desired"]
    return one["state"] if desired == "running" else f"{one['state']} ({desired})"


def job_of(one: AgentStatus) -> str:
    job = one["job"]
    if job is None:
        return "-"
    return " ".join(
        word for word in (str(job["id"]), job["kind"], job["state"], job["step"]) if word
    )


def event_of(one: AgentStatus, now: datetime) -> str:
    event = one["event"]
    if event is None:
        return "-"
    return f"{event['kind']}, {age(now - datetime.fromisoformat(event['at']))} ago"


def note_of(one: AgentStatus) -> str:
    """It begins with a mark where somebody should look."""
    return f"! {', '.join(one['attention'])}" if one["attention"] else "-"


def counted(found: Status) -> str:
    return ", ".join(f"{count} {state}" for state, count in found["jobs"].items())


def age(span: timedelta) -> str:
    """In its largest unit alone."""
    seconds = max(0, int(span.total_seconds()))
    unit, length = next((one for one in AGES if seconds >= one[1]), ("s", 1))
    return f"{seconds // length} {unit}"


def size(count: int | None) -> str:
    if count is None:
        return "-"
    unit, length = next((one for one in SIZES if count >= one[1]), ("B", 1))
    return f"{count / length:.0f} {unit}" if unit in "BKM" else f"{count / length:.1f} {unit}"
