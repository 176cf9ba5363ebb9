"""Workers, nodes, and what happens in the fleet."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, connected, node_name, requester, say
from cli.follow import AsJson, OnNode
from cli.output import show_json, show_table
from cli.plain import plain
from hive.domain.job import JobId

if TYPE_CHECKING:
    from hive.domain.event import Event
    from hive.service.fleet import NodeView, WorkerView

POLL = timedelta(milliseconds=100)
PAGE = 1000


def workers(as_json: AsJson = False) -> None:
    """Who works on jobs, on which node, and what each one runs."""
    with connected() as host:
        from hive.service import fleet

        at_work, nodes = fleet.listed(host), fleet.nodes(host)
        if as_json:
            show_json(
                {
                    "workers": [view.as_json() for view in at_work],
                    "nodes": [view.as_json() for view in nodes],
                }
            )
            return
        head = ("WORKER", "NODE", "ROLE", "STATE", "JOBS", "SINCE", "VERSION")
        show_table(head, [_worker(view) for view in at_work])
        typer.echo("")
        show_table(("NODE", "STATE", "SEEN"), [node_cells(view) for view in nodes])


def pause(node: OnNode = None) -> None:
    """Claim nothing new on a node; what runs there goes on."""
    where = node_name(node)
    with connected() as host:
        from hive.service import fleet

        fleet.pause(host, where or host.node, by=requester())
        say(f"{where or host.node} is paused; `hive resume` ends that")


def resume(node: OnNode = None) -> None:
    """Claim jobs again on a node that was paused."""
    where = node_name(node)
    with connected() as host:
        from hive.service import fleet

        fleet.resume(host, where or host.node)
        say(f"{where or host.node} is not paused")


def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, until interrupted.")
    ] = False,
    after: Annotated[int | None, typer.Option(help="Only those behind this number.", min=0)] = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    job: Annotated[
        int | None, typer.Option(help="Only those of this job.", min=1, max=2**31 - 1)
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only those of this agent.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """What happened, oldest first: the last thousand, or those behind a number."""
    name = agent_name(agent) if agent is not None else None
    with connected() as host:
        from hive.service import fleet

        of_job = None if job is None else JobId(job)
        seen, is_first = after, True
        while is_first or follow:
            found = fleet.happened(host, after=seen, kind=kind, job=of_job, agent=name, limit=PAGE)
            seen = found[-1].seq if found else seen or 0
            for event in found:
                _show(event, as_json=as_json)
            if len(found) < PAGE:
                is_first = False
                if follow:
                    host.clock.sleep(POLL)


def _show(event: Event, *, as_json: bool) -> None:
    shown = event.as_json()
    if as_json:
        typer.echo(json.dumps(shown))
        return
    data = " ".join(f"{key}={value}" for key, value in shown["data"].items())
    about = " ".join(str(part) for part in (shown["job"], shown["agent"]) if part)
    typer.echo(
        plain(f"{event.seq:>6}  {shown['at']}  {event.kind:<20} {about:<14} {data}").rstrip()
    )


def _worker(view: WorkerView) -> tuple[str, ...]:
    shown = view.as_json()
    state = "draining" if shown["draining"] else "alive" if shown["alive"] else "gone"
    return (
        str(shown["pid"]),
        shown["node"],
        shown["role"],
        state,
        " ".join(f"{job['id']} {job['kind']} {job['agent'] or ''}".strip() for job in shown["jobs"])
        or "-",
        shown["since"],
        shown["version"],
    )


def node_cells(view: NodeView) -> tuple[str, ...]:
    shown = view.as_json()
    states = [
        *(["silent"] if shown["silent"] else ["heard"]),
        *([f"paused by {shown['paused_by']}"] if shown["paused_at"] else []),
    ]
    return shown["name"], ", ".join(states), shown["seen_at"] or "-"
