"""Messages: what waits for the operator or an agent, and what is sent to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import agent_name, asked, node_name, say
from cli.follow import OnNode
from cli.hive import CLOCK, PAGE
from cli.plain import plain
from hive.domain.message import LEASE, OPERATOR

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Message

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
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=PAGE)] = 100,
    node: OnNode = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Take the messages that wait, oldest first; what is not acknowledged comes back."""
    _check(name)
    node_name(node)
    if (peek or every) and (follow or ack):
        raise typer.BadParameter("--peek and --all only look: not with --follow or --ack")
    with asked() as hive:
        if peek or every:
            looked = hive.inbox(name, acked=every, limit=limit, node=node)
            _show(looked["items"], as_json=as_json)
            return
        taken = _taken(hive, name, node, limit, ack=ack, as_json=as_json)
        while follow:
            if not taken:
                CLOCK.sleep(POLL)
            taken = _taken(hive, name, node, limit, ack=ack, as_json=as_json)
        _say_what_is_left(hive.waiting(name, node=node)["waiting"], 0 if ack else taken)


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
    node_name(node)
    with asked() as hive:
        sent = hive.send(name, text, reply_to=reply_to, node=node, key=key)
        typer.echo(str(sent["id"]))


def ack(
    ids: Annotated[
        list[int], typer.Argument(metavar="ID...", help="Numbers of messages.", min=1, max=LAST)
    ],
) -> None:
    """Acknowledge messages: they do not come back. Twice is once."""
    with asked() as hive:
        new = hive.ack(ids)["acked"]
        say(f"acknowledged {new}; {len(set(ids)) - new} were before")


def _check(name: str) -> None:
    """Before anything is looked at, so that a bad name leaves no trace."""
    if name != OPERATOR:
        agent_name(name)


def _taken(hive: Hive, name: str, node: str | None, limit: int, *, ack: bool, as_json: bool) -> int:
    """How many there were. They are acknowledged when they have been printed, and not before."""
    found = hive.take(name, limit=limit, node=node)["items"]
    _show(found, as_json=as_json)
    if found and ack:
        hive.ack([message["id"] for message in found])
    return len(found)


def _show(found: Sequence[Message], *, as_json: bool) -> None:
    for message in found:
        typer.echo(json.dumps(message) if as_json else _line(message))
    sys.stdout.flush()


def _line(message: Message) -> str:
    """No line of its text can be taken for another message."""
    is_again = message["deliveries"] > 1 and message["acked_at"] is None
    marks = [
        *(["again"] if is_again else []),
        *(["acknowledged"] if message["acked_at"] else []),
        *([f"to {message['reply_to']}"] if message["reply_to"] else []),
    ]
    noted = f"[{', '.join(marks)}] " if marks else ""
    said = plain(f"{noted}{message['text']}").replace("\n", "\n        ")
    return f"{message['id']:>6}  {message['sent_at']}  {message['from']:<9}  {said}"


def _say_what_is_left(waiting: int, shown: int) -> None:
    if shown:
        minutes = LEASE // timedelta(minutes=1)
        say(f"`hive ack ID` when you have seen to it: else it comes back in {minutes} minutes")
    if waiting > shown:
        left = waiting - shown
        say(f"{left} more wait, or were shown lately and not acknowledged: `hive inbox --peek`")
