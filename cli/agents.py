"""Looking at agents."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.boundary import agent_name, connected, node_name, requester, say
from cli.follow import AsJson, Detach, OnNode, follow
from cli.lifecycle import Name
from cli.output import show_agent, show_agents, show_json, show_kept

app = typer.Typer(no_args_is_help=True, help="One agent.")


def agents(as_json: AsJson = False) -> None:
    """Every agent: what is wanted, and what is so."""
    with connected() as host:
        from hive.service import agents

        views = agents.listed(host)
        if as_json:
            show_json([view.as_json() for view in views])
        else:
            show_agents(views)


@app.callback()
def one() -> None:
    """One agent."""


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """All that is known of one agent."""
    checked = agent_name(name)
    with connected() as host:
        from hive.service import agents

        view = agents.show(host, checked)
        if as_json:
            show_json(view.as_json())
        else:
            show_agent(view)


@app.command("set")
def change(
    name: Name,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="What to change.")],
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Change settings of an agent. Limits hold at once, the rest with the next rebuild."""
    checked, where = agent_name(name), node_name(node)
    with connected() as host:
        from hive.service import lifecycle

        asked = lifecycle.Asked(requester(), None, where)
        submitted = lifecycle.change(host, checked, asked, settings)
        if submitted is not None:
            follow(host, submitted[0], detach=detach, as_json=as_json)
        else:
            say(f"set; `hive rebuild {name}` applies it")


@app.command()
def logs(
    name: Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until you interrupt it.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000)] = 200,
) -> None:
    """The journal of an agent's container, as its host has it."""
    checked = agent_name(name)
    with connected() as host:
        from hive.service import terminal

        terminal.journal(host, checked, follow=follow, lines=lines)


@app.command()
def shell(name: Name) -> None:
    """A shell inside an agent's container, for root: `machinectl shell`."""
    checked = agent_name(name)
    with connected() as host:
        from hive.service import terminal

        terminal.shell(host, checked)


def kept(as_json: AsJson = False) -> None:
    """What is kept of agents that were destroyed."""
    with connected() as host:
        from hive.service import kept

        views = kept.kept(host)
        if as_json:
            show_json([view.as_json() for view in views])
        else:
            show_kept(views)
