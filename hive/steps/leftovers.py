"""What a killed attempt leaves in the folders of one agent, and its removal."""

from __future__ import annotations

from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.steps.meta import clear_meta_if_free


def clear_leftovers(world: World, agent: AgentName | None) -> bool:
    """Only for who holds the agent's lock: then nobody else writes here, and a lock is a corpse.

    A job that is about no agent leaves nothing but in meta. False where somebody is at work there,
    so that nobody knows.
    """
    if agent is not None:
        world.files.wipe(world.layout.scratch / agent)
        world.git.clear_corpses(world.layout.applied(agent))
    return clear_meta_if_free(world)
