"""The verbs that change an agent, and `plan` with the same words, which changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.boundary import ENDED_BADLY, agent_name, connected, node_name, requester, say
from cli.follow import AsJson, Detach, Key, OnNode, follow
from cli.output import show_json, show_table

Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 9 of a-z, 0-9 and -.")]

plan = typer.Typer(no_args_is_help=True, help="What a verb would do right now; nothing is touched.")


def spawn(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Make an agent, from nothing to an answer on its port. Twice is once."""
    checked, where = agent_name(name), node_name(node)
    with connected() as host:
        from hive.service import agents

        job, is_new = agents.spawn(host, checked, requested_by=requester(), key=key, node=where)
        if not is_new:
            say(f"job {job.id} does this already")
        follow(host, job, detach=detach, as_json=as_json)


@plan.callback()
def planned() -> None:
    """What a verb would do right now; nothing is touched."""


@plan.command("spawn")
def plan_spawn(
    name: Name,
    node: OnNode = None,
    as_json: AsJson = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when something differs.")
    ] = False,
) -> None:
    """The steps of a spawn, and which of them hold."""
    checked, where = agent_name(name), node_name(node)
    with connected() as host:
        from hive.service import agents
        from hive.steps.step import Holds

        found = agents.plan_spawn(host, checked, node=where)
        rows = [(step, isinstance(finding, Holds), finding.because) for step, finding in found]
        if as_json:
            show_json([{"name": n, "holds": holds, "because": why} for n, holds, why in rows])
        else:
            shown = [("=" if holds else "+", n, why) for n, holds, why in rows]
            show_table(("", "STEP", "BECAUSE"), shown)
        if exit_code and not all(holds for _, holds, _ in rows):
            raise typer.Exit(ENDED_BADLY)
