"""Tokens: by which who asks over TCP is known."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from cli.boundary import agent_name, asked, boundary, say
from cli.follow import AsJson
from cli.output import show_json, show_table
from hive.domain.authority import Role
from hive.errors import Refused

app = typer.Typer(no_args_is_help=True, help="By which who asks over TCP is known.")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.callback()
def token() -> None:
    """By which who asks over TCP is known."""


@app.command()
def create(
    role: Annotated[Role, typer.Option(help="What its owner may do: see docs/api.md.")],
    agent: Annotated[str | None, typer.Option(help="Whose it is, with the role agent.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="90d", help="After so many m, h or d; else never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is printed this once: hive keeps only its hash."""
    if agent is not None:
        agent_name(agent)
    after = _after(expires) if expires is not None else None
    with asked() as hive:
        made = hive.add_token(role.value, agent=agent, expires=after)
        if as_json:
            show_json(made)
            return
        typer.echo(made["token"])
        say(f"token {made['id']}, of the role {role}; it is not shown again")


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """Every token, also those that are not good any more; never a secret."""
    with asked() as hive:
        shown = [dict(one) for one in hive.tokens()["items"]]
        if as_json:
            show_json(shown)
            return
        keys = ("id", "role", "agent", "created_by", "expires_at", "used_at", "revoked_at")
        heads = ("TOKEN", "ROLE", "AGENT", "BY", "EXPIRES", "USED", "REVOKED")
        show_table(heads, [[str(one[key] or "-") for key in keys] for one in shown])


@app.command()
def revoke(
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number.", min=1, max=2**31 - 1)],
) -> None:
    """Make a token no good any more, from the next request on. Twice is once."""
    with asked() as hive:
        hive.remove_token(number)
        say(f"token {number} is revoked")


def _after(said: str) -> timedelta:
    with boundary():
        found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", said)
        if not found:
            raise Refused(f"--expires cannot be {said!r}", code="usage", hint="90d, 12h or 30m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
