"""Messages: what waits for the operator or an agent, and what is sent to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, connected, node_name, say
from cli.follow import OnNode
from cli.plain import plain
from hive.domain.message import OPERATOR

if TYPE_CHECKING:
    from hive.domain.message import Message
    from hive.queue.host import Host
    from hive.service.inbox import Inbox

POLL = timedelta(milliseconds=250)
LAST = 2**63 - 1

Name = Annotated[str, typer.Argument(metavar="NAME", help="`operator`, or an agent.")]


def inbox(
    name: Name = OPERATOR,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, until interrupted.")
    ] = False,
    ack: Annotated[bool, typer.Option("--ack", help="Acknowledge what was printed.")] = False,
    peek: Annotated[bool, typer.Option("--peek", help="Only look: nothing is taken.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Only look at the newest, acknowledged ones too.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 100,
    node: OnNode = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Take the messages that wait, oldest first; what is not acknowledged comes back."""
    _check(name)
    where = node_name(node)
    if (peek or every) and (follow or ack):
        raise typer.BadParameter("--peek and --all only look: not with --follow or --ack")
    with connected() as host:
        from hive.service import inbox

        of = inbox.of(host, name, where)
        if peek or every:
            _show(inbox.look(host, of, acked=every, limit=limit), as_json=as_json)
            return
        taken = _taken(host, of, limit, ack=ack, as_json=as_json)
        while follow:
            if not taken:
                host.clock.sleep(POLL)
            taken = _taken(host, of, limit, ack=ack, as_json=as_json)
        _say_what_is_left(host, of, 0 if ack else taken)


def send(
    name: Annotated[str, typer.Argument(metavar="NAME", help="`operator`, or an agent.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is said.")],
    reply_to: Annotated[
        int | None, typer.Option(help="The message that this one answers.", min=1, max=LAST)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Your own name for this message: said again, it is the same one."),
    ] = None,
    node: OnNode = None,
) -> None:
    """Leave a message in somebody's inbox; its number is printed."""
    _check(name)
    where = node_name(node)
    with connected() as host:
        from hive.service import inbox

        sent = inbox.send(host, name, text, sender=OPERATOR, node=where, reply_to=reply_to, key=key)
        typer.echo(str(sent.seq))


def ack(
    ids: Annotated[
        list[int], typer.Argument(metavar="ID...", help="Numbers of messages.", min=1, max=LAST)
    ],
) -> None:
    """Acknowledge messages: they do not come back. Twice is once."""
    with connected() as host:
        from hive.service import inbox

        new = inbox.ack(host, ids)
        say(f"acknowledged {new}; {len(set(ids)) - new} were before")


def _check(name: str) -> None:
    """Before anything is looked at, so that a bad name leaves no trace."""
    if name != OPERATOR:
        agent_name(name)


def _taken(host: Host, of: Inbox, limit: int, *, ack: bool, as_json: bool) -> int:
    """How many there were. They are acknowledged when they have been printed, and not before."""
    from hive.service import inbox

    found = inbox.take(host, of, limit=limit)
    _show(found, as_json=as_json)
    if found and ack:
        inbox.ack(host, [message.seq for message in found])
    return len(found)


def _show(found: Sequence[Message], *, as_json: bool) -> None:
    from hive.service.inbox import message_as_json

    for message in found:
        shown = message_as_json(message)
        typer.echo(json.dumps(shown) if as_json else _line(message, f"{shown['sent_at']}"))
    sys.stdout.flush()


def _line(message: Message, sent: str) -> str:
    """No line of its text can be taken for another message."""
    marks = [
        *(["again"] if message.is_again and message.acked_at is None else []),
        *(["acknowledged"] if message.acked_at else []),
        *([f"to {message.reply_to}"] if message.reply_to else []),
    ]
    noted = f"[{', '.join(marks)}] " if marks else ""
    said = plain(f"{noted}{message.body}").replace("\n", "\n        ")
    return f"{message.seq:>6}  {sent}  {message.sender:<9}  {said}"


def _say_what_is_left(host: Host, of: Inbox, shown: int) -> None:
    from hive.service import inbox

    left = inbox.count(host, of) - shown
    if shown:
        say(f"`hive ack ID` when you have seen to it: else it comes back in {_minutes()} minutes")
    if left > 0:
        say(f"{left} more wait, or were shown lately and not acknowledged: `hive inbox --peek`")


def _minutes() -> int:
    from hive.service.inbox import LEASE

    return LEASE // timedelta(minutes=1)
