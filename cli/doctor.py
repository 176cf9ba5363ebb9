"""What this machine has of what hive needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from cli.boundary import ENDED_BADLY, boundary, say
from cli.follow import AsJson
from cli.output import show_json

if TYPE_CHECKING:
    from hive.service.finding import Finding


def doctor(as_json: AsJson = False) -> None:
    """Look at this machine, and change nothing. Exit 1 when something needed is missing."""
    with boundary():
        from hive import bootstrap
        from hive.service.doctor import findings
        from hive.service.finding import Verdict
        from hive.settings import Settings

        subject = bootstrap.examined(Settings.from_env(os.environ), os.environ)
        try:
            found = findings(subject)
        finally:
            subject.database.dispose()
        show_findings(found, as_json=as_json)
        missing = [one.name for one in found if one.verdict is Verdict.MISSING]
        if missing:
            say(f"hive needs: {', '.join(missing)}")
            raise typer.Exit(ENDED_BADLY)


def show_findings(found: list[Finding], *, as_json: bool) -> None:
    """One line a finding, whatever another program said."""
    if as_json:
        show_json([_as_json(one) for one in found])
        return
    for one in found:
        hint = f" -- {one.hint}" if one.hint else ""
        line = f"{one.verdict:<8} {one.name:<16} {one.message}{hint}"
        typer.echo(" ".join(line.splitlines()))


def _as_json(one: Finding) -> dict[str, str]:
    return {
        "name": one.name,
        "verdict": one.verdict.value,
        "message": one.message,
        "hint": one.hint,
    }
