"""How results look: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from cli.plain import plain

if TYPE_CHECKING:
    from hive.service.diffs import DiffView
    from hive.service.kept import KeptView
    from hive.service.views import AgentView, JobView


def show_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can carry
    typer.echo(json.dumps(value, indent=2))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; nothing is cut, also where stdout is a pipe."""
    table = [[plain(" ".join(cell.splitlines())) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def show_agents(views: Sequence[AgentView]) -> None:
    head = ("AGENT", "NODE", "DESIRED", "STATE", "PORT", "DEPLOYED", "JOB", "NOTE")
    show_table(head, [_agent(view) for view in views])


def _agent(view: AgentView) -> tuple[str, ...]:
    deployed = view.deployed
    notes = [
        *(["privileged"] if view.privileged else []),
        *([f"failed at {view.failed_at:%Y-%m-%d %H:%M}"] if view.failed_at else []),
    ]
    return (
        view.name,
        view.node,
        view.desired.value,
        view.state,
        str(view.port),
        f"{deployed.job or '?'} {deployed.sha[:12]}" if deployed else "-",
        str(view.job or "-"),
        ", ".join(notes) or "-",
    )


def show_agent(view: AgentView) -> None:
    for key, value in view.as_json().items():
        typer.echo(f"{key + ':':<12} {_value(value)}")
    typer.echo(f"{'url:':<12} {_value(view.url)}")


def show_jobs(views: Sequence[JobView]) -> None:
    head = ("JOB", "KIND", "AGENT", "STATE", "ATTEMPT", "CREATED", "ERROR", "NOTE")
    show_table(head, [_job(view) for view in views])


def _job(view: JobView) -> tuple[str, ...]:
    from hive.domain.instant import instant

    job = view.job
    return (
        str(job.id),
        job.kind,
        job.agent or "-",
        job.state.value,
        str(job.attempt),
        instant(job.created_at) or "-",
        job.error.code if job.error else "-",
        view.note or "-",
    )


def show_pending(views: Sequence[JobView]) -> None:
    from hive.domain.instant import instant

    head = ("JOB", "KIND", "AGENT", "REV", "FOR", "BY", "SINCE")
    rows = [
        (
            str(view.job.id),
            view.job.kind,
            view.job.agent or "-",
            str(view.job.ask.get("rev", "-"))[:12],
            str(view.job.ask.get("message", "-")),
            view.job.requested_by,
            instant(view.job.created_at) or "-",
        )
        for view in views
    ]
    show_table(head, rows)


def show_kept(views: Sequence[KeptView]) -> None:
    from hive.domain.instant import instant

    head = ("AGENT", "BYTES", "CHANGED", "LOGIN")
    rows = [
        (view.name, _value(view.bytes), instant(view.since) or "-", _value(view.has_login))
        for view in views
    ]
    show_table(head, rows)


def show_diff(view: DiffView, *, patch: bool) -> None:
    """For people: what is new, what would be undone, which files, which packages."""
    typer.echo(
        f"job {view.job}: {view.agent} {view.deployed[:12]} .. {view.rev[:12]} ({view.state})"
    )
    for commit in view.commits:
        typer.echo(plain(f"  + {commit}"))
    for commit in view.undone:
        typer.echo(plain(f"  - {commit}  (deployed, and not in it: it would be undone)"))
    for change in view.files:
        typer.echo(plain(f"  {change.letter} {change.path}"))
    if view.closure is None:
        typer.echo("  it is not built yet")
    else:
        for line in view.closure.lines():
            typer.echo(plain(f"  {line}"))
        typer.echo(f"closure: {view.system}")
    if patch:
        typer.echo("\n".join(plain(line) for line in view.patch.splitlines()))


def show_job(view: JobView) -> None:
    shown = view.as_json()
    steps = shown.pop("steps")
    for key, value in shown.items():
        typer.echo(f"{key + ':':<14} {_value(value)}")
    rows = [(s["name"], s["state"], f"{s['seconds']:.2f} s", s["because"]) for s in steps]
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
