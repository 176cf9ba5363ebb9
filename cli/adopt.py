"""The verb by which hive moves in where another has kept house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.boundary import asked_here, say
from cli.follow import AsJson, Detach, Key, follow
from cli.power import Yes, confirmed

if TYPE_CHECKING:
    from cli.here import Here


def adopt(
    yes: Yes = False, key: Key = None, detach: Detach = False, as_json: AsJson = False
) -> None:
    """Take over the agents that another daemon left here. Nothing is built or restarted."""
    with asked_here() as hive:
        from hive.service import adoption
        from hive.service.lifecycle import Asked

        if not yes:
            _show_plan(hive)
        confirmed("Adopt these?", yes=yes)
        asked = adoption.adopt(hive.host, Asked(hive.by, key))
        if not asked.is_new:
            say(f"job {asked.job.id} does this already")
        follow(hive, hive.job(asked.job.id), detach=detach, as_json=as_json)


def _show_plan(hive: Here) -> None:
    """On stderr: it is not the result."""
    from cli.plan import lines

    for line in lines(hive.plan_adoption()["items"]):
        say("  ".join(line))
