"""The verbs that change an agent that is there: each is one job, which is followed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.boundary import agent_name, asked, boundary, node_name
from cli.follow import AsJson, Detach, Key, OnNode, follow, follow_all, submitted
from cli.lifecycle import Name
from hive.errors import Refused

if TYPE_CHECKING:
    from hive.client.answers import Kind

RESTARTS: Final = ("always", "auto", "never")
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Restart = Annotated[
    str, typer.Option("--restart", metavar="always|auto|never", help="When a restart is due.")
]


def start(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Start an agent, and remember that it is wanted running."""
    _submit("start", name, key, node, detach=detach, as_json=as_json)


def stop(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Stop an agent, and remember it: no sweep starts it again."""
    _submit("stop", name, key, node, detach=detach, as_json=as_json)


def restart(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Stop an agent and start it again; one that is stopped is started."""
    _submit("restart", name, key, node, detach=detach, as_json=as_json)


def rebuild(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which; or --all.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Each agent of the node.")] = False,
    restart: Restart = "auto",
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Put back all that hive owns of an agent, on what is deployed."""
    if (name is None) != everyone:
        with boundary():
            raise Refused("one NAME, or --all", code="usage", hint="see `hive rebuild --help`")
    chosen = restarts(restart)
    if name is not None:
        _submit("rebuild", name, key, node, detach=detach, as_json=as_json, restart=chosen)
        return
    node_name(node)
    if key is not None:
        with boundary():
            raise Refused("--key names one request, and --all is many", code="usage")
    with asked() as hive:
        found = hive.rebuild_all(node=node, restart=chosen)["items"]
        follow_all(hive, found, detach=detach, as_json=as_json)


def destroy(
    name: Name,
    purge: Annotated[bool, typer.Option("--purge", help="Keep nothing of it.")] = False,
    yes: Yes = False,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Take an agent's container away; what it kept stays, unless it is purged."""
    if purge:
        _purge(name, key, node, yes=yes, detach=detach, as_json=as_json)
        return
    confirmed(f"Destroy {name}? Its folders are kept.", yes=yes)
    _submit("destroy", name, key, node, detach=detach, as_json=as_json)


def purge(
    name: Name,
    yes: Yes = False,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Destroy an agent, and wipe its login, its notes and its repos. There is no way back."""
    _purge(name, key, node, yes=yes, detach=detach, as_json=as_json)


def update_base(
    yes: Yes = False,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Look at the base flake anew, and rebuild each agent of the node on it."""
    node_name(node)
    confirmed("Rebuild every agent of the node on the newest base?", yes=yes)
    with asked() as hive:
        job = hive.submit("update-base", key=key, node=node)
        follow(hive, job, detach=detach, as_json=as_json)
        if not detach:
            follow_all(hive, hive.children(job["id"])["items"], detach=False, as_json=False)


def confirmed(question: str, *, yes: bool) -> None:
    """Nothing is taken away unasked: where nobody can be asked, `--yes` says it."""
    with boundary():
        if yes:
            return
        if not sys.stdin.isatty():
            raise Refused(question, code="not-confirmed", hint="say --yes")
        if not typer.confirm(question, err=True):
            raise Refused("not confirmed: nothing was done", code="not-confirmed")


def restarts(said: str) -> str:
    with boundary():
        if said not in RESTARTS:
            raise Refused(
                f"--restart cannot be {said!r}", code="usage", hint="always, auto or never"
            )
        return said


def _purge(
    name: str, key: str | None, node: str | None, *, yes: bool, detach: bool, as_json: bool
) -> None:
    confirmed(f"Purge {name}? Its login, its notes and its repos are lost for good.", yes=yes)
    _submit("purge", name, key, node, detach=detach, as_json=as_json)


def _submit(
    kind: Kind,
    name: str,
    key: str | None,
    node: str | None,
    *,
    detach: bool,
    as_json: bool,
    restart: str | None = None,
) -> None:
    agent_name(name), node_name(node)
    with asked() as hive:
        made = hive.submit(kind, name, key=key, node=node, restart=restart)
        submitted(hive, made, detach=detach, as_json=as_json)
