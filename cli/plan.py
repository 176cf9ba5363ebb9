"""`hive plan` with the words of a verb: what it would do right now, and nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, agent_name, connected, node_name
from cli.follow import AsJson, OnNode
from cli.lifecycle import Name
from cli.output import show_json, show_table
from hive.domain.job import JobId

if TYPE_CHECKING:
    from hive.queue.host import Host
    from hive.service.plans import Planned

app = typer.Typer(no_args_is_help=True, help="What a verb would do right now; nothing is touched.")
HEADS = ("", "STEP", "BECAUSE")
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit 1 when something differs.")]


@app.callback()
def planned() -> None:
    """What a verb would do right now; nothing is touched."""


@app.command()
def spawn(
    name: Name, node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False
) -> None:
    """The steps of a spawn, and which of them hold."""
    checked, where = agent_name(name), node_name(node)

    def look(host: Host) -> Planned:
        from hive.service import agents

        return agents.plan_spawn(host, checked, node=where)

    _show(look, as_json=as_json, exit_code=exit_code)


@app.command("update-base")
def update_base(node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """Whether the base was looked at; which agents are behind is known then."""
    where = node_name(node)

    def look(host: Host) -> Planned:
        from hive.service import plans

        return plans.of_base(host, node=where)

    _show(look, as_json=as_json, exit_code=exit_code)


@app.command()
def sweep(node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """Which agents differ from what is wanted, and what would be enqueued for each."""
    where = node_name(node)
    with connected() as host:
        from hive.service import sweeps

        view = sweeps.planned(host, node=where)
        if as_json:
            show_json(view.as_json())
        else:
            show_table(("AGENT", "JOB", "BECAUSE"), view.lines())
        if exit_code and not view.is_nothing:
            raise typer.Exit(ENDED_BADLY)


@app.command()
def adopt(as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """What moving in would find and do here."""

    def look(host: Host) -> Planned:
        from hive.service import adoption

        return adoption.planned(host)

    _show(look, as_json=as_json, exit_code=exit_code)


@app.command()
def rollback(
    name: Name,
    to: Annotated[int | None, typer.Option("--to", metavar="ID", help="An earlier deploy.")] = None,
    as_json: AsJson = False,
    exit_code: ExitCode = False,
) -> None:
    """The steps of going back."""
    _of("rollback", name, None, as_json=as_json, exit_code=exit_code, to=to)


def _proposing(verb: str) -> None:
    def plan(
        name: Name,
        rev: Annotated[str, typer.Argument(metavar="REV", help="A commit: 7 to 40 hex digits.")],
        as_json: AsJson = False,
        exit_code: ExitCode = False,
    ) -> None:
        _of("apply", name, None, as_json=as_json, exit_code=exit_code, rev=rev)

    app.command(verb, help=f"The steps of {verb}, and which of them hold.")(plan)


def _simple(verb: str) -> None:
    def plan(
        name: Name, node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False
    ) -> None:
        _of(verb, name, node, as_json=as_json, exit_code=exit_code)

    app.command(verb, help=f"The steps of {verb}, and which of them hold.")(plan)


def _of(
    kind: str,
    name: str,
    node: str | None,
    *,
    as_json: bool,
    exit_code: bool,
    rev: str | None = None,
    to: int | None = None,
) -> None:
    checked, where = agent_name(name), node_name(node)

    def look(host: Host) -> Planned:
        from hive.service import plans

        job = None if to is None else JobId(to)
        return plans.planned(host, kind, checked, node=where, rev=rev, to=job)

    _show(look, as_json=as_json, exit_code=exit_code)


def lines(found: Planned) -> list[tuple[str, str, str]]:
    """For people: `=` is so, `+` would be made so."""
    from hive.steps.step import Holds

    return [("=" if isinstance(why, Holds) else "+", step, why.because) for step, why in found]


def _show(look: Callable[[Host], Planned], *, as_json: bool, exit_code: bool) -> None:
    with connected() as host:
        from hive.steps.step import Holds

        found = look(host)
        rows = [(step, isinstance(finding, Holds), finding.because) for step, finding in found]
        if as_json:
            show_json([{"name": n, "holds": holds, "because": why} for n, holds, why in rows])
        else:
            show_table(HEADS, lines(found))
        if exit_code and not all(holds for _, holds, _ in rows):
            raise typer.Exit(ENDED_BADLY)


for _verb in ("propose", "apply"):
    _proposing(_verb)
for _verb in ("rebuild", "start", "stop", "restart", "destroy", "purge"):
    _simple(_verb)
