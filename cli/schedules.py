"""What is asked for by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import asked, boundary, say
from cli.follow import AsJson, Detach, follow_all
from cli.output import show_json, show_table
from hive.domain.schedule import CatchUp, Cron, ScheduleName, Verb

if TYPE_CHECKING:
    from hive.client.answers import Schedule

app = typer.Typer(no_args_is_help=True, help="What is asked for by the clock.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the schedule is called.")]


@app.callback()
def schedule() -> None:
    """What is asked for by the clock."""


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """Every schedule, when it fired last and when it will."""
    with asked() as hive:
        found = hive.schedules()["items"]
        if as_json:
            show_json(found)
            return
        head = ("SCHEDULE", "CRON", "ZONE", "VERB", "CATCH-UP", "STATE", "LAST", "NEXT", "NOTE")
        show_table(head, [_row(one) for one in found])


@app.command()
def add(
    name: Name,
    verb: Annotated[Verb, typer.Argument(metavar="VERB", help="sweep, update-base or prune.")],
    cron: Annotated[str, typer.Option(help="Five fields: '*/5 * * * *'.")],
    zone: Annotated[str, typer.Option(help="Whose clocks the fields mean.")] = "UTC",
    catch_up: Annotated[
        CatchUp, typer.Option(help="Which of the fires that were missed are made up for.")
    ] = CatchUp.LAST,
) -> None:
    """Ask for something again and again: `hive schedule add NAME --cron … -- sweep`."""
    _name(name)
    with boundary():
        Cron.of(cron, zone)
    with asked() as hive:
        there = hive.add_schedule(name, cron, verb.value, zone=zone, catch_up=catch_up.value)
        if there["new"]:
            say(f"{name} is a schedule; next at {there['next_fire']}")
            return
        off = "" if there["enabled"] else f", and disabled: `hive schedule enable {name}`"
        say(f"{name} is there already, and the same{off}")


@app.command()
def remove(name: Name) -> None:
    """Forget a schedule; a default that was removed does not come back."""
    _name(name)
    with asked() as hive:
        hive.remove_schedule(name)
        say(f"{name} is removed")


@app.command()
def enable(name: Name) -> None:
    """Let a schedule fire from now on."""
    _set_enabled(name, enabled=True)


@app.command()
def disable(name: Name) -> None:
    """Keep a schedule, and let it fire no more."""
    _set_enabled(name, enabled=False)


@app.command()
def run(name: Name, detach: Detach = False) -> None:
    """Do what a schedule asks for once, now; its next fire stays when it is."""
    _name(name)
    with asked() as hive:
        made, node = hive.run_schedule(name)["items"], hive.node
        here = [job for job in made if job["node"] == node]
        for job in made:
            if job not in here:
                say(f"job {job['id']} is for the node {job['node']}")
        follow_all(hive, here, detach=detach, as_json=False)
        if not detach:
            for job in here:
                children = hive.children(job["id"])["items"]
                follow_all(hive, children, detach=False, as_json=False)


def _set_enabled(name: str, *, enabled: bool) -> None:
    _name(name)
    with asked() as hive:
        before = {one["name"]: one["enabled"] for one in hive.schedules()["items"]}
        found = hive.enable_schedule(name) if enabled else hive.disable_schedule(name)
        already = " already" if before.get(name) == enabled else ""
        then = f"; next at {found['next_fire']}" if enabled else ""
        say(f"{name} is {'enabled' if enabled else 'disabled'}{already}{then}")


def _name(text: str) -> None:
    """Checked before anything is looked at."""
    with boundary():
        ScheduleName(text)


def _row(one: Schedule) -> tuple[str, ...]:
    state = "enabled" if one["enabled"] else "disabled"
    said = one["name"], one["cron"], one["zone"], one["verb"], one["catch_up"]
    return *said, state, one["last_fire"] or "-", one["next_fire"] or "-", one["note"] or "-"
