"""The daemon that hive takes the place of: two that write one tree would undo each other's work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hive.adapters.locks import holder, is_alive
from hive.adapters.world import World
from hive.errors import Refused
from hive.steps.step import Differs, Finding, Holds

UNIT: Final = "hive-c0re.service"


@dataclass(frozen=True, slots=True)
class OldDaemonGone:
    """hyperhive's own daemon does not run on this host, and nobody answers at its socket."""

    def check(self, world: World) -> Finding:
        unit, path = world.systemd.service(UNIT), world.layout.host_socket
        if unit.is_active or unit.is_moving:
            return Differs(f"{UNIT} is {unit.state}")
        if world.http.is_served(path) and not _is_ours(world):
            return Differs(f"somebody answers at {path}")
        return Holds(f"{UNIT} is {unit.state}")

    def apply(self, world: World) -> None:
        """Not hive's to stop: it may be in the middle of something."""
        raise Refused(
            f"the old daemon runs: {self.check(world).because}",
            code="old-daemon",
            hint=f"systemctl disable --now {UNIT}",
        )


def _is_ours(world: World) -> bool:
    """The API of this hive answers there."""
    found = holder(world.layout.api_lock)
    return found is not None and is_alive(found.worker_pid, found.worker_started)
