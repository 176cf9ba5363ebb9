"""What is asked for by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import boundary, connected, requester, say
from cli.follow import AsJson, Detach
from cli.output import show_json, show_table
from cli.power import follow_all
from hive.domain.schedule import CatchUp, Verb

if TYPE_CHECKING:
    from hive.domain.schedule import ScheduleName
    from hive.service.schedules import ScheduleView

app = typer.Typer(no_args_is_help=True, help="What is asked for by the clock.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the schedule is called.")]


@app.callback()
def schedule() -> None:
    """What is asked for by the clock."""


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """Every schedule, when it fired last and when it will."""
    with connected() as host:
        from hive.service import schedules

        views = schedules.listed(host)
        if as_json:
            show_json([view.as_json() for view in views])
            return
        head = ("SCHEDULE", "CRON", "ZONE", "VERB", "CATCH-UP", "STATE", "LAST", "NEXT", "NOTE")
        show_table(head, [_row(view) for view in views])


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
    from hive.domain.schedule import Cron

    checked = _name(name)
    with boundary():
        line = Cron.of(cron, zone)
    with connected() as host:
        from hive.service import schedules

        there, is_new = schedules.add(host, checked, line, verb, catch_up)
        if is_new:
            say(f"{name} is a schedule; next at {schedules.next_of(there)}")
            return
        off = "" if there.enabled else f", and disabled: `hive schedule enable {name}`"
        say(f"{name} is there already, and the same{off}")


@app.command()
def remove(name: Name) -> None:
    """Forget a schedule; a default that was removed does not come back."""
    checked = _name(name)
    with connected() as host:
        from hive.service import schedules

        schedules.remove(host, checked)
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
    checked = _name(name)
    with connected() as host:
        from hive.service import jobs, schedules

        made = schedules.run(host, checked, by=requester())
        here = [job for job in made if job.node == host.node]
        for job in made:
            if job not in here:
                say(f"job {job.id} is for the node {job.node}")
        follow_all(host, here, detach=detach, as_json=False)
        if not detach:
            for job in here:
                follow_all(host, jobs.children(host, job.id), detach=False, as_json=False)


def _set_enabled(name: str, *, enabled: bool) -> None:
    checked = _name(name)
    with connected() as host:
        from hive.service import schedules

        found, changed = schedules.set_enabled(host, checked, enabled)
        already = "" if changed else " already"
        then = f"; next at {schedules.next_of(found)}" if enabled else ""
        say(f"{name} is {'enabled' if enabled else 'disabled'}{already}{then}")


def _name(text: str) -> ScheduleName:
    from hive.domain.schedule import ScheduleName

    with boundary():
        return ScheduleName(text)


def _row(view: ScheduleView) -> tuple[str, ...]:
    shown = view.as_json()
    state = "enabled" if shown["enabled"] else "disabled"
    said = ("name", "cron", "zone", "verb", "catch_up")
    times = (shown["last_fire"] or "-", shown["next_fire"] or "-")
    return *(shown[key] for key in said), state, *times, shown["note"] or "-"
