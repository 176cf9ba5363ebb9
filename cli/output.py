"""How results look: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from cli.plain import plain

if TYPE_CHECKING:
    from hive.client.answers import Agent, Diff, Job, Kept


def show_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
    typer.echo(json.dumps(value, indent=2))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; nothing is cut, also where stdout is a pipe."""
    table = [[plain(" ".join(cell.splitlines())) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def show_agents(agents: Sequence[Agent]) -> None:
    head = ("AGENT", "NODE", "DESIRED", "STATE", "PORT", "DEPLOYED", "JOB", "NOTE")
    show_table(head, [_agent(one) for one in agents])


def _agent(one: Agent) -> tuple[str, ...]:
    deployed, failed_at = one["deployed"], one["failed_at"]
    notes = [
        *(["privileged"] if one["privileged"] else []),
        *([f"failed at {_minute(failed_at)}"] if failed_at else []),
    ]
    return (
        one["name"],
        one["node"],
        one["desired"],
        one["state"],
        str(one["port"]),
        f"{deployed['job'] or '?'} {deployed['sha'][:12]}" if deployed else "-",
        str(one["job"] or "-"),
        ", ".join(notes) or "-",
    )


def _minute(instant: str) -> str:
    """Of `2026-11-21T10:05:00.000Z`."""
    return instant[:16].replace("T", " ")


def show_one(said: Mapping[str, Any], *, width: int) -> None:
    """A line for each key."""
    for key, value in said.items():
        typer.echo(f"{key + ':':<{width}} {_value(value)}")


def show_jobs(jobs: Sequence[Job]) -> None:
    head = ("JOB", "KIND", "AGENT", "STATE", "ATTEMPT", "CREATED", "ERROR", "NOTE")
    show_table(head, [_job(job) for job in jobs])


def _job(job: Job) -> tuple[str, ...]:
    return (
        str(job["id"]),
        job["kind"],
        job["agent"] or "-",
        job["state"],
        str(job["attempt"]),
        job["created_at"],
        job["error"]["code"] if job["error"] else "-",
        job["note"] or "-",
    )


def show_pending(jobs: Sequence[Job]) -> None:
    head = ("JOB", "KIND", "AGENT", "REV", "FOR", "BY", "SINCE")
    rows = [
        (
            str(job["id"]),
            job["kind"],
            job["agent"] or "-",
            str(job["ask"].get("rev", "-"))[:12],
            str(job["ask"].get("message", "-")),
            job["requested_by"],
            job["created_at"],
        )
        for job in jobs
    ]
    show_table(head, rows)


def show_kept(found: Sequence[Kept]) -> None:
    head = ("AGENT", "BYTES", "CHANGED", "LOGIN")
    rows = [
        (one["name"], _value(one["bytes"]), one["since"] or "-", _value(one["login"]))
        for one in found
    ]
    show_table(head, rows)


def show_diff(diff: Diff, *, patch: bool) -> None:
    """For people: what is new, what would be undone, which files, which packages."""
    typer.echo(
        f"job {diff['job']}: {diff['agent']} {diff['deployed'][:12]} .. {diff['rev'][:12]}"
        f" ({diff['state']})"
    )
    for commit in diff["commits"]:
        typer.echo(plain(f"  + {commit}"))
    for commit in diff["undone"]:
        typer.echo(plain(f"  - {commit}  (deployed, and not in it: it would be undone)"))
    for change in diff["files"]:
        typer.echo(plain(f"  {change['letter']} {change['path']}"))
    if diff["packages"] is None:
        typer.echo("  it is not built yet")
    else:
        from hive.domain.closure import ClosureDifference  # it knows what a whole agent is

        for line in ClosureDifference.from_json(diff["packages"]).lines():
            typer.echo(plain(f"  {line}"))
        typer.echo(f"closure: {diff['closure']}")
    if patch:
        typer.echo("\n".join(plain(line) for line in diff["patch"].splitlines()))


def show_job(job: Job) -> None:
    show_one({key: value for key, value in job.items() if key != "steps"}, width=14)
    rows = [(s["name"], s["state"], f"{s['seconds']:.2f} s", s["because"]) for s in job["steps"]]
    if rows:
        typer.echo("")
        show_table(("STEP", "STATE", "TIME", "BECAUSE"), rows)


def _value(value: Any) -> str:  # noqa: ANN401 - a JSON value
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key} {_value(part)}" for key, part in value.items())
        case _:
            return plain(str(value))
