"""The verb by which hive moves in where another has kept house."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.boundary import connected, requester, say
from cli.follow import AsJson, Detach, Key, follow
from cli.power import Yes, confirmed

if TYPE_CHECKING:
    from hive.queue.host import Host


def adopt(
    yes: Yes = False, key: Key = None, detach: Detach = False, as_json: AsJson = False
) -> None:
    """Take over the agents that another daemon left here. Nothing is built or restarted."""
    with connected() as host:
        from hive.service import adoption
        from hive.service.lifecycle import Asked

        if not yes:
            _show_plan(host)
        confirmed("Adopt these?", yes=yes)
        job, is_new = adoption.adopt(host, Asked(requester(), key))
        if not is_new:
            say(f"job {job.id} does this already")
        follow(host, job, detach=detach, as_json=as_json)


def _show_plan(host: Host) -> None:
    """On stderr: it is not the result."""
    from cli.plan import lines
    from hive.service import adoption

    for line in lines(adoption.planned(host)):
        say("  ".join(line))
