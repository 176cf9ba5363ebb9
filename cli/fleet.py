"""Workers, nodes, and what happens in the fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, asked, node_name, say
from cli.follow import AsJson, OnNode
from cli.output import show_json, show_table
from cli.plain import plain

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Event, Node, Worker


def workers(as_json: AsJson = False) -> None:
    """Who works on jobs, on which node, and what each one runs."""
    with asked() as hive:
        at_work, nodes = hive.workers()["items"], hive.nodes()["items"]
        if as_json:
            show_json({"workers": at_work, "nodes": nodes})
            return
        head = ("WORKER", "NODE", "ROLE", "STATE", "JOBS", "SINCE", "VERSION")
        show_table(head, [_worker(one) for one in at_work])
        typer.echo("")
        show_table(("NODE", "STATE", "SEEN"), [node_cells(one) for one in nodes])


def pause(node: OnNode = None) -> None:
    """Claim nothing new on a node; what runs there goes on."""
    node_name(node)
    with asked() as hive:
        where = node or hive.node
        hive.pause(where)
        say(f"{where} is paused; `hive resume` ends that")


def resume(node: OnNode = None) -> None:
    """Claim jobs again on a node that was paused."""
    node_name(node)
    with asked() as hive:
        where = node or hive.node
        hive.resume(where)
        say(f"{where} is not paused")


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
    if agent is not None:
        agent_name(agent)
    with asked() as hive:
        last = after or 0
        for event in _so_far(hive, after, kind, agent, job):
            last = event["seq"]
            _show(event, as_json=as_json)
        if follow:
            for event in hive.follow_events(after=last, kind=kind, agent=agent, job=job):
                _show(event, as_json=as_json)


def _so_far(
    hive: Hive, after: int | None, kind: str | None, agent: str | None, job: int | None
) -> Iterator[Event]:
    while True:
        page = hive.events(after=after, kind=kind, agent=agent, job=job)
        yield from page["items"]
        if page["next"] is None:
            return
        after = page["items"][-1]["seq"]


def _show(event: Event, *, as_json: bool) -> None:
    """At once, also where stdout is a pipe."""
    if as_json:
        typer.echo(json.dumps(event))
        return
    data = " ".join(f"{key}={value}" for key, value in event["data"].items())
    about = " ".join(str(part) for part in (event["job"], event["agent"]) if part)
    typer.echo(
        plain(f"{event['seq']:>6}  {event['at']}  {event['kind']:<20} {about:<14} {data}").rstrip()
    )


def _worker(one: Worker) -> tuple[str, ...]:
    state = "draining" if one["draining"] else "alive" if one["alive"] else "gone"
    return (
        str(one["pid"]),
        one["node"],
        one["role"],
        state,
        " ".join(f"{job['id']} {job['kind']} {job['agent'] or ''}".strip() for job in one["jobs"])
        or "-",
        one["since"],
        one["version"],
    )


def node_cells(one: Node) -> tuple[str, ...]:
    states = [
        *(["silent"] if one["silent"] else ["heard"]),
        *([f"paused by {one['paused_by']}"] if one["paused_at"] else []),
    ]
    return one["name"], ", ".join(states), one["seen_at"] or "-"
