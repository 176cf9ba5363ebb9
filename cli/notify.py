"""Who is called when something happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import asked_here, boundary, connected, node_name, say
from cli.follow import AsJson, Detach, OnNode, follow
from cli.output import show_json, show_table

if TYPE_CHECKING:
    from hive.domain.notifier import NotifierName
    from hive.service.notify import NotifierView

app = typer.Typer(no_args_is_help=True, help="A command or a URL, called for what happens.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The notifier.")]


@app.callback()
def one() -> None:
    """A command or a URL, called for what happens."""


@app.command()
def add(
    name: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND ARG…]", help="It gets the event as JSON on stdin."),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND,…", help="Kinds of events, as `hive events` shows; `job.*`."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Gets the event as JSON by a POST.")] = None,
    url_file: Annotated[
        Path | None, typer.Option(help="A file that holds the URL, where that is a secret.")
    ] = None,
    node: OnNode = None,
) -> None:
    """Call a command or a URL for what happens from now on, from this host."""
    checked, where = notifier_name(name), node_name(node)
    with connected() as host:
        from hive.domain.notifier import Notifier, split
        from hive.service import notify

        argv = tuple(command) if command else None
        kinds = split(on or [])
        notify.add(host, Notifier(checked, where or host.node, kinds, argv, url, url_file))
        say(f"added; `hive notify test {checked}` calls it once")


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """Every notifier, and how many of its calls are queued."""
    with connected() as host:
        from hive.service import notify

        views = notify.listed(host)
        if as_json:
            show_json([view.as_json() for view in views])
        else:
            head = ("NOTIFIER", "NODE", "ON", "CALLS", "STATE", "QUEUED")
            show_table(head, [_cells(view) for view in views])


@app.command()
def remove(name: Name) -> None:
    """Call it no more. Its calls that have not ended end refused."""
    checked = notifier_name(name)
    with connected() as host:
        from hive.service import notify

        notify.remove(host, checked)
        say(f"{checked} is removed")


@app.command()
def enable(name: Name) -> None:
    """Call it again, for what happens from now on."""
    _switch(name, enabled=True)


@app.command()
def disable(name: Name) -> None:
    """Call it no more until it is enabled."""
    _switch(name, enabled=False)


@app.command()
def test(name: Name, detach: Detach = False, as_json: AsJson = False) -> None:
    """Call it once, with an event of kind `notify.test`."""
    checked = notifier_name(name)
    with asked_here() as hive:
        from hive.service import notify

        job = hive.job(notify.test(hive.host, checked, by=hive.by).id)
        follow(hive, job, detach=detach, as_json=as_json)


def notifier_name(text: str) -> NotifierName:
    from hive.domain.notifier import NotifierName

    with boundary():
        return NotifierName(text)


def _switch(name: str, *, enabled: bool) -> None:
    checked = notifier_name(name)
    with connected() as host:
        from hive.service import notify

        notify.switch(host, checked, enabled=enabled)
        say(f"{checked} is {'enabled' if enabled else 'disabled'}")


def _cells(view: NotifierView) -> tuple[str, ...]:
    shown = view.as_json()
    calls = shown["url"] or (f"URL in {shown['url_file']}" if shown["url_file"] else "")
    return (
        shown["name"],
        shown["node"],
        ",".join(shown["kinds"]),
        calls or " ".join(shown["command"]),
        "enabled" if shown["enabled"] else "disabled",
        str(shown["queued"]),
    )
