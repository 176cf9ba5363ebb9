"""The ground that a verb stands on: a host that hive may touch, and folders to write in."""

from __future__ import annotations

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import silent
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.errors import Refused
from hive.queue.host import Host
from hive.store import jobs


def looked_at(host: Host) -> World:
    """This host, to look at. hive never pretends unasked."""
    world = host.world(silent, Locks(), Halt())
    if not world.containers.can_be_here():
        raise Refused(
            "this machine has no nixos-container",
            code="no-nixos",
            hint="run hive on NixOS, or set HIVE_BACKEND=sim for a pretend host in a folder",
        )
    return world


def written_to(host: Host) -> World:
    """This host, to change: its folders can be written."""
    world = looked_at(host)
    for folder in (world.layout.state, world.layout.run):
        if not world.files.is_folder(folder):
            world.files.make_folder(folder, mode=0o755)
        world.files.try_writing(folder)
    return world


def number_above_tags(host: Host, world: World, agent: AgentName | None = None) -> None:
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
