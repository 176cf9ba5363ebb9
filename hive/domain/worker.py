"""Processes that work on jobs, and the nodes that they work on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from hive.domain.fullness import Fullness
from hive.domain.names import NodeName

BEAT: Final = timedelta(seconds=5)
LEASE: Final = timedelta(seconds=30)
"""Six beats may be missed. A worker that cannot beat stops itself before its lease ends."""
SILENT: Final = LEASE
"""A node from which nothing was heard for this long."""


class Role(StrEnum):
    WORKER = "worker"  #: `hive worker`
    UP = "up"  #: `hive up`: worker and maintenance in one
    COMMAND = "command"  #: a command that works on its own job
    MAINTENANCE = "maintenance"  #: `hive maintenance`; works on no job


SERVING: Final = frozenset({Role.WORKER, Role.UP})
"""Those that take whatever job is due: where one lives, commands leave the work to it."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one boot of one host: nothing else is ever called so.

    `started` is in clock ticks since the boot. `boot` and `namespace` say where the pid means what
    it says; empty where the kernel does not tell.
    """

    node: NodeName
    pid: int
    started: str
    boot: str
    namespace: str

    @property
    def id(self) -> str:
        return f"{self.node}:{self.pid}:{self.started}:{self.boot[:8]}"

    def shares_pids_with(self, other: Process) -> bool:
        """A pid of the one can be looked up by the other."""
        return (self.boot, self.namespace) == (other.boot, other.namespace)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that has registered. Instants are aware, in UTC."""

    process: Process
    role: Role
    version: str
    concurrency: int
    draining: bool
    since: datetime
    beat_at: datetime

    @property
    def id(self) -> str:
        return self.process.id


@dataclass(frozen=True, slots=True)
class Node:
    """One host of a fleet."""

    name: NodeName
    seen_at: datetime | None  #: the last beat of any worker there
    paused_at: datetime | None  #: nothing new is claimed there
    paused_by: str | None
    disk: Fullness | None = None  #: of the fullest of its disks; while it is critical, builds wait

    def is_silent(self, now: datetime) -> bool:
        return self.seen_at is None or now - self.seen_at > SILENT
