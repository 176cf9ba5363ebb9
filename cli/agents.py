"""Looking at agents."""

from __future__ import annotations

import typer

from cli.boundary import agent_name, connected
from cli.follow import AsJson
from cli.lifecycle import Name
from cli.output import show_agent, show_agents, show_json

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
