"""What an operator looks into by hand: this process becomes the program that shows it."""

from __future__ import annotations

import os

from hive.domain.names import AgentName
from hive.errors import Refused
from hive.queue.host import Host
from hive.service.ground import looked_at
from hive.service.lifecycle import known


def journal(host: Host, name: AgentName, *, follow: bool, lines: int) -> None:
    """Of the container's unit: what its host has of it, also when it is gone."""
    words = ["journalctl", "--no-pager", f"--unit={name.container.unit}", f"--lines={lines}"]
    _become(host, name, [*words, *(["--follow"] if follow else [])])


def shell(host: Host, name: AgentName) -> None:
    """Inside, with the container's own limits, which `nixos-container root-login` has not."""
    if os.geteuid() != 0:
        raise Refused(
            "a shell in a container is for root", code="not-permitted", hint="run it as root"
        )
    _become(host, name, ["machinectl", "shell", name.container])


def _become(host: Host, name: AgentName, words: list[str]) -> None:
    """A terminal of one's own is no program that hive waits for."""
    known(host, name, host.node)
    world = looked_at(host)
    host.database.dispose()
    world.containers.shell.become(*words)
