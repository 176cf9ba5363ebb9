"""`hive plan` with the words of a verb: what it would do right now, and nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import ENDED_BADLY, agent_name, asked, asked_here, node_name
from cli.follow import AsJson, OnNode
from cli.lifecycle import Name
from cli.output import show_json, show_table

if TYPE_CHECKING:
    from hive.client.answers import PlannedStep, Sweep

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
    _of("spawn", name, node, as_json=as_json, exit_code=exit_code)


@app.command("update-base")
def update_base(node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """Whether the base was looked at; which agents are behind is known then."""
    _of("update-base", None, node, as_json=as_json, exit_code=exit_code)


@app.command()
def sweep(node: OnNode = None, as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """Which agents differ from what is wanted, and what would be enqueued for each."""
    node_name(node)
    with asked() as hive:
        found = hive.plan_sweep(node=node)
        if as_json:
            show_json(found)
        else:
            show_table(("AGENT", "JOB", "BECAUSE"), _differing(found))
        if exit_code and (found["differ"] or found["orphans"]):
            raise typer.Exit(ENDED_BADLY)


@app.command()
def adopt(as_json: AsJson = False, exit_code: ExitCode = False) -> None:
    """What moving in would find and do here."""
    with asked_here() as hive:
        _show(hive.plan_adoption()["items"], as_json=as_json, exit_code=exit_code)


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
    name: str | None,
    node: str | None,
    *,
    as_json: bool,
    exit_code: bool,
    rev: str | None = None,
    to: int | None = None,
) -> None:
    if name is not None:
        agent_name(name)
    node_name(node)
    with asked() as hive:
        found = hive.plan(kind, agent=name, rev=rev, to=to, node=node)["items"]
        _show(found, as_json=as_json, exit_code=exit_code)


def lines(found: Sequence[PlannedStep]) -> list[tuple[str, str, str]]:
    """For people: `=` is so, `+` would be made so."""
    return [("=" if step["holds"] else "+", step["name"], step["because"]) for step in found]


def _show(found: Sequence[PlannedStep], *, as_json: bool, exit_code: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_table(HEADS, lines(found))
    if exit_code and not all(step["holds"] for step in found):
        raise typer.Exit(ENDED_BADLY)


def _differing(found: Sweep) -> list[tuple[str, str, str]]:
    """Agent, kind of job and reason; what is only told comes last."""
    return [
        *((one["agent"], one["job"] or "-", one["because"]) for one in found["differ"]),
        *(("-", f"job {job}", "agent state dir missing") for job in found["orphans"]),
        *((one["agent"] or "-", "-", one["said"]) for one in found["reports"]),
    ]


for _verb in ("propose", "apply"):
    _proposing(_verb)
for _verb in ("rebuild", "start", "stop", "restart", "destroy", "purge"):
    _simple(_verb)
