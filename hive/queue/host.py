"""What a worker has of the host that it works on; put together by bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hive.adapters.clock import Clock
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import Tell
from hive.adapters.world import World
from hive.domain.agent import AgentSettings
from hive.domain.approval import Policy
from hive.domain.job import Job
from hive.domain.layout import Layout
from hive.domain.names import NodeName
from hive.domain.worker import Process
from hive.jobs.recipe import Recipe
from hive.queue.bell import Bell
from hive.store.session import Database


@dataclass(frozen=True, slots=True)
class Host:
    """One node, seen by one process."""

    node: NodeName
    layout: Layout
    database: Database
    clock: Clock
    process: Process
    """This one."""
    version: str
    defaults: AgentSettings
    """Of an agent that is new."""
    failure_limit: int
    """Transient failures after which a job ends failed."""
    log_limit: int
    """Bytes of a job's log."""
    inbox_cap: int
    """Messages of a recipient that may wait."""
    inbox_kept: int
    """Acknowledged messages of a recipient."""
    policy: Policy
    """Who may do what without approval."""
    disks: tuple[Path, ...]
    """Folders on the disks that jobs fill."""
    bell: Bell
    """Rung after a commit that left something to do."""
    recipe: Callable[[Job], Recipe]
    """What a job does, with what the database knows of its agent handed in."""
    world: Callable[[Tell, Locks, Halt], World]
    """A world for one attempt: its programs tell it their lines, hold its locks, and halt."""

    @property
    def worker(self) -> str:
        """This process, as the rows name it."""
        return self.process.id
