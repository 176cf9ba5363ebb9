"""The verbs that change an agent that is there: each is one job, which is followed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, boundary, connected, node_name, requester, say
from cli.follow import AsJson, Detach, Key, OnNode, follow
from cli.lifecycle import Name
from hive.errors import Refused

if TYPE_CHECKING:
    from hive.domain.job import Job
    from hive.domain.names import AgentName
    from hive.queue.host import Host
    from hive.service.lifecycle import Asked, Submitted
    from hive.steps.running import Restarts

    Ask = Callable[[Host, AgentName, Asked], Submitted]

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
    from hive.service import lifecycle

    submitted(name, lifecycle.start, key, node, detach=detach, as_json=as_json)


def stop(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Stop an agent, and remember it: no sweep starts it again."""
    from hive.service import lifecycle

    submitted(name, lifecycle.stop, key, node, detach=detach, as_json=as_json)


def restart(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Stop an agent and start it again; one that is stopped is started."""
    from hive.service import lifecycle

    submitted(name, lifecycle.restart, key, node, detach=detach, as_json=as_json)


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
    from hive.service import lifecycle

    if (name is None) != everyone:
        with boundary():
            raise Refused("one NAME, or --all", code="usage", hint="see `hive rebuild --help`")
    if name is not None:
        chosen = restarts(restart)

        def ask(host: Host, checked: AgentName, asked: Asked) -> Submitted:
            return lifecycle.rebuild(host, checked, asked, restarts=chosen)

        submitted(name, ask, key, node, detach=detach, as_json=as_json)
        return
    where, chosen = node_name(node), restarts(restart)
    if key is not None:
        with boundary():
            raise Refused("--key names one request, and --all is many", code="usage")
    with connected() as host:
        asked = lifecycle.Asked(requester(), None, where)
        found = lifecycle.rebuild_all(host, asked, restarts=chosen)
        follow_all(host, found, detach=detach, as_json=as_json)


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
    from hive.service import lifecycle

    if purge:
        _purge(name, key, node, yes=yes, detach=detach, as_json=as_json)
        return
    confirmed(f"Destroy {name}? Its folders are kept.", yes=yes)
    submitted(name, lifecycle.destroy, key, node, detach=detach, as_json=as_json)


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
    where = node_name(node)
    confirmed("Rebuild every agent of the node on the newest base?", yes=yes)
    with connected() as host:
        from hive.service import jobs, lifecycle

        job, _ = lifecycle.update_base(host, lifecycle.Asked(requester(), key, where))
        follow(host, job, detach=detach, as_json=as_json)
        if not detach:
            follow_all(host, jobs.children(host, job.id), detach=False, as_json=False)


def submitted(
    name: str, ask: Ask, key: str | None, node: str | None, *, detach: bool, as_json: bool
) -> None:
    checked, where = agent_name(name), node_name(node)
    with connected() as host:
        from hive.service.lifecycle import Asked

        job, is_new = ask(host, checked, Asked(requester(), key, where))
        if not is_new:
            say(f"job {job.id} does this already")
        follow(host, job, detach=detach, as_json=as_json)


def confirmed(question: str, *, yes: bool) -> None:
    """Nothing is taken away unasked: where nobody can be asked, `--yes` says it."""
    with boundary():
        if yes:
            return
        if not sys.stdin.isatty():
            raise Refused(question, code="not-confirmed", hint="say --yes")
        if not typer.confirm(question, err=True):
            raise Refused("not confirmed: nothing was done", code="not-confirmed")


def restarts(said: str) -> Restarts:
    from hive.steps.running import Restarts

    with boundary():
        try:
            return Restarts(said)
        except ValueError:
            raise Refused(
                f"--restart cannot be {said!r}", code="usage", hint="always, auto or never"
            ) from None


def _purge(
    name: str, key: str | None, node: str | None, *, yes: bool, detach: bool, as_json: bool
) -> None:
    from hive.service import lifecycle

    confirmed(f"Purge {name}? Its login, its notes and its repos are lost for good.", yes=yes)
    submitted(name, lifecycle.purge, key, node, detach=detach, as_json=as_json)


def follow_all(host: Host, found: list[Job], *, detach: bool, as_json: bool) -> None:
    """Each to its end; the first that ended badly decides the exit, after all had their turn."""
    left: typer.Exit | None = None
    for job in found:
        try:
            follow(host, job, detach=detach, as_json=as_json)
        except typer.Exit as ended:
            left = left or ended
    if left is not None:
        raise left
