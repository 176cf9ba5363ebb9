"""The numbers of jobs, which tags of agents' repos bear: none is given twice."""

from __future__ import annotations

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import silent
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.queue.host import Host
from hive.store import jobs


def above_tags_at_first(host: Host) -> None:
    """As `above_tags`, for who asks for jobs again and again: where none was ever given."""
    with host.database.read() as session:
        is_new = not jobs.highest(session)
    if is_new:
        above_tags(host, host.world(silent, Locks(), Halt()))


def above_tags(host: Host, world: World, agent: AgentName | None = None) -> None:
    """Jobs are numbered above every job that a tag names: of `agent`'s repo, or of all.

    A new database knows no numbers, and an old one that was put back knows too few: a number that
    is given twice would want a tag that is there already.
    """
    with host.database.read() as session:
        given = jobs.highest(session)
    names = (str(agent),) if agent and given else _applied(world)
    highest = max((_highest_tag(world, name) for name in names), default=0)
    if highest > given:
        with host.database.write() as session:
            jobs.start_above(session, JobId(highest))


def _applied(world: World) -> tuple[str, ...]:
    return world.files.entries(world.layout.applied_root)


def _highest_tag(world: World, name: str) -> int:
    tags = world.git.refs(world.layout.applied_root / name, "refs/tags/")
    numbers = (tag.rpartition("/")[2] for tag in tags)
    return max((int(number) for number in numbers if number.isdigit()), default=0)
