"""What a worker has of the host that it works on; put together by bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hive.adapters.clock import Clock
from hive.adapters.locks import Locks
from hive.adapters.shell import Tell
from hive.adapters.world import World
from hive.domain.agent import AgentSettings
from hive.domain.layout import Layout
from hive.domain.names import NodeName
from hive.store.session import Database


@dataclass(frozen=True, slots=True)
class Host:
    """One node, seen by one process."""

    node: NodeName
    layout: Layout
    database: Database
    clock: Clock
    worker: str
    """This process, as the rows name it."""
    defaults: AgentSettings
    """Of an agent that is new."""
    world: Callable[[Tell, Locks], World]
    """A world for one job: its programs tell it their lines, and hold its locks."""
