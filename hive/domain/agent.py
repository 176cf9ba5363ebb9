"""An agent at rest: what is wanted of it, and the settings that an operator may change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from hive.domain.names import AgentName, NodeName


class Desired(StrEnum):
    RUNNING = "running"  #: sweeps start it
    STOPPED = "stopped"  #: an operator stopped it; no sweep starts it
    DESTROYED = "destroyed"  #: its container is gone; its folders may be kept


class Health(StrEnum):
    UNIT = "unit"  #: the unit is active
    PORT = "port"  #: its web port answers too


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Limits and health of one agent. `memory_max` in bytes, `cpu_quota` in percent of a core."""

    memory_max: int = 2 * 1024**3
    cpu_quota: int = 50
    tasks_max: int | None = None
    health: Health = Health.UNIT
    privileged: bool = False
    """Without a user namespace: container root is host root."""

    def as_json(self) -> dict[str, object]:
        return {
            "memory_max": self.memory_max,
            "cpu_quota": self.cpu_quota,
            "tasks_max": self.tasks_max,
            "health": self.health.value,
            "privileged": self.privileged,
        }

    @classmethod
    def from_json(cls, stored: dict[str, object]) -> Self:
        known = {key: stored[key] for key in cls.__slots__ if key in stored}
        if "health" in known:
            known["health"] = Health(str(known["health"]))
        return cls(**known)  # type: ignore[arg-type]  # our own JSON, written by as_json


@dataclass(frozen=True, slots=True)
class Agent:
    """A row: an agent that was asked for on a node."""

    node: NodeName
    name: AgentName
    port: int
    desired: Desired
    settings: AgentSettings
    failed_at: datetime | None = None
