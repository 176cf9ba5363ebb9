"""Looking at agents."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.boundary import agent_name, asked, connected, node_name, say
from cli.follow import AsJson, Detach, OnNode, follow
from cli.lifecycle import Name
from cli.output import show_agents, show_json, show_kept, show_one

app = typer.Typer(no_args_is_help=True, help="One agent.")


def agents(as_json: AsJson = False) -> None:
    """Every agent: what is wanted, and what is so."""
    with asked() as hive:
        found = hive.agents()["items"]
        if as_json:
            show_json(found)
        else:
            show_agents(found)


@app.callback()
def one() -> None:
    """One agent."""


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """All that is known of one agent."""
    agent_name(name)
    with asked() as hive:
        found = hive.agent(name)
        if as_json:
            show_json(found)
        else:
            show_one(found, width=12)


@app.command("set")
def change(
    name: Name,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="What to change.")],
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Change settings of an agent. Limits hold at once, the rest with the next rebuild."""
    agent_name(name), node_name(node)
    with asked() as hive:
        limit = hive.set_agent(name, *settings, node=node)["limit"]
        if limit is not None:
            follow(hive, limit, detach=detach, as_json=as_json)
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
    with asked() as hive:
        found = hive.kept()["items"]
        if as_json:
            show_json(found)
        else:
            show_kept(found)
