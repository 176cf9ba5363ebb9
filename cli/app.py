"""The `hive` command: lifecycle verbs at the top, the rest as `hive <noun> <verb>`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import (
    adopt,
    agents,
    db,
    demo,
    doctor,
    fleet,
    harness,
    inbox,
    jobs,
    lifecycle,
    mcp,
    notify,
    plan,
    power,
    proposals,
    schedules,
    serve,
    status,
    sweep,
    tokens,
)
from cli.boundary import INTERRUPTED, complain, say

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A fleet of AI agents in NixOS containers, changed by durable, idempotent jobs.",
)
app.command()(lifecycle.spawn)
app.command()(proposals.propose)
app.command()(proposals.apply)
app.command()(proposals.pending)
app.command()(proposals.diff)
app.command()(proposals.approve)
app.command()(proposals.deny)
app.command()(proposals.withdraw)
app.command()(proposals.rollback)
app.command()(power.rebuild)
app.command()(power.start)
app.command()(power.stop)
app.command()(power.restart)
app.command()(power.destroy)
app.command()(power.purge)
app.command("update-base")(power.update_base)
app.command()(sweep.sweep)
app.command()(adopt.adopt)
app.add_typer(plan.app, name="plan")
app.command()(status.status)
app.command()(status.top)
app.command()(agents.agents)
app.command()(agents.kept)
app.add_typer(agents.app, name="agent")
app.command()(jobs.jobs)
app.add_typer(jobs.app, name="job")
app.add_typer(schedules.app, name="schedule")
app.command()(jobs.retry)
app.command()(jobs.cancel)
app.command()(jobs.wait)
app.command()(jobs.logs)
app.command()(inbox.inbox)
app.command()(inbox.send)
app.command()(inbox.ack)
app.command()(fleet.events)
app.add_typer(notify.app, name="notify")
app.command()(fleet.workers)
app.command()(fleet.pause)
app.command()(fleet.resume)
app.command()(serve.up)
app.command()(serve.worker)
app.command()(serve.maintenance)
app.command()(mcp.mcp)
app.command()(harness.harness)
app.command()(serve.api)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.add_typer(tokens.app, name="token")
app.add_typer(db.app, name="db")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"hive {version('hive')}")
        raise typer.Exit


@app.callback()
def hive(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """A fleet of AI agents in NixOS containers, changed by durable, idempotent jobs."""


def main() -> None:
    """Exits as `docs/cli.md` says; what a user got wrong is one line and a hint."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        _complain(error.format_message())
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted")
        code = INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> None:
    """A noun without a verb is answered with its help."""
    if message.startswith("Usage:"):
        say(message)
    else:
        complain(message.replace("Value error, ", ""), "usage", "see `hive --help`")
