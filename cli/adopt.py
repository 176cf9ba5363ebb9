"""The verb by which hive moves in where another has kept house."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cli.boundary import connected, requester, say
from cli.follow import AsJson, Detach, Key, follow
from cli.power import Yes, confirmed

if TYPE_CHECKING:
    from hive.client.answers import PlannedStep
    from hive.queue.host import Host


def adopt(
    yes: Yes = False, key: Key = None, detach: Detach = False, as_json: AsJson = False
) -> None:
    """Take over the agents that another daemon left here. Nothing is built or restarted."""
    with connected() as host:
        from cli.here import Here
        from hive.service import adoption
        from hive.service.lifecycle import Asked

        if not yes:
            _show_plan(host)
        confirmed("Adopt these?", yes=yes)
        job, is_new = adoption.adopt(host, Asked(requester(), key))
        if not is_new:
            say(f"job {job.id} does this already")
        hive = Here(host, requester())
        follow(hive, hive.job(job.id), detach=detach, as_json=as_json)


def _show_plan(host: Host) -> None:
    """On stderr: it is not the result."""
    from cli.plan import lines
    from hive.service import adoption
    from hive.service.plans import step_as_json

    found = [step_as_json(*one) for one in adoption.planned(host)]
    for line in lines(cast("list[PlannedStep]", found)):
        say("  ".join(line))
