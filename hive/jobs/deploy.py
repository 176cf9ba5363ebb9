"""What every kind that changes what an agent runs has in common: the switch, and the way back."""

from __future__ import annotations

from hive.adapters.git import MAIN
from hive.adapters.world import World
from hive.domain.agent import Agent, Desired
from hive.domain.job import JobId
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain, Pinned
from hive.steps.container import Defined, Limited, ProfileSet
from hive.steps.deploy import Deployed, Reverted
from hive.steps.look import deployed_tag, rev_of, system_of
from hive.steps.running import Ready, Restarts, Running
from hive.steps.step import Step


def switched(
    agent: Agent, target: AppliedMain | Pinned, job: JobId, restarts: Restarts = Restarts.AUTO
) -> tuple[Step, ...]:
    """The agent runs the target, and meta says so. One that is wanted stopped is not started."""
    settings = agent.settings
    up: tuple[Step, ...] = (
        Running(target, settings.privileged, restarts),
        Ready(target, settings.health),
    )
    return (
        Defined(target, settings.privileged),
        ProfileSet(target),
        Limited(agent.name, settings),
        *(up if agent.desired is Desired.RUNNING else ()),
        Deployed(target, job),
    )


def reverted(agent: Agent, restarts: Restarts = Restarts.AUTO) -> tuple[Step, ...]:
    """The agent runs what it ran before."""
    kept = Restarts.NEVER if restarts is Restarts.NEVER else Restarts.AUTO
    return (Reverted(agent.name, agent.desired is Desired.RUNNING, kept),)


def result_of(world: World, agent: Agent, target: AppliedMain | Pinned) -> dict[str, object]:
    main = world.git.ref(world.layout.meta, MAIN)
    tag = deployed_tag(world, agent.name, main) if main else None
    return {
        "agent": agent.name,
        "rev": rev_of(world, target),
        "tag": tag.removeprefix("refs/tags/") if tag else None,
        "system": str(system_of(world, target)),
        "url": f"http://{world.address}:{port_of(agent.name)}/",
    }
