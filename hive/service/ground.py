"""The ground that a verb stands on: a host that hive may touch, and folders to write in."""

from __future__ import annotations

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import silent
from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.errors import Refused
from hive.queue import numbers
from hive.queue.host import Host


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
        if world.files.may_write(folder):
            continue
        if not world.files.is_folder(folder):
            world.files.make_folder(folder, mode=0o755)
        world.files.try_writing(folder)
    return world


def number_above_tags(host: Host, world: World, agent: AgentName | None = None) -> None:
    """Jobs are numbered above every job that a tag names: of `agent`'s repo, or of all."""
    numbers.above_tags(host, world, agent)
