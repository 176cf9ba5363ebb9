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
from hive.store.session import Session


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
    highest = highest_tag(world, agent if given else None)
    if highest > given:
        with host.database.write() as session:
            jobs.start_above(session, highest)


def above_tag(session: Session, world: World, tag: JobId) -> None:
    """As `above_tags`, in a transaction of the caller's, who has looked at an agent's tags."""
    given = jobs.highest(session)
    highest = tag if given else highest_tag(world)
    if highest > given:
        jobs.start_above(session, highest)


def highest_tag(world: World, agent: AgentName | None = None) -> JobId:
    """Of `agent`'s repo, or of all; 0 where there is none."""
    root = world.layout.applied_root
    names = world.files.entries(root) if agent is None else (str(agent),)
    tags = [tag for name in names for tag in world.git.refs(root / name, "refs/tags/")]
    numbers = (tag.rpartition("/")[2] for tag in tags)
    return JobId(max((int(number) for number in numbers if number.isdigit()), default=0))
