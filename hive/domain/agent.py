"""An agent at rest: what is wanted of it, and the settings that an operator may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from hive.domain.names import AgentName, NodeName
from hive.errors import Refused

Variables = tuple[tuple[str, str], ...]
"""Of an agent's harness: names and values."""


class Desired(StrEnum):
    RUNNING = "running"  #: sweeps start it
    STOPPED = "stopped"  #: an operator stopped it; no sweep starts it
    DESTROYED = "destroyed"  #: its container is gone; its folders may be kept


class Health(StrEnum):
    UNIT = "unit"  #: the unit is active
    PORT = "port"  #: its web port answers too


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What an operator sets for one agent.

    `memory_max` in bytes, `cpu_quota` in percent of a core. `model` and `allowed_tools` win over
    what `agent.nix` says; None leaves it to that.
    """

    memory_max: int = 2 * 1024**3
    cpu_quota: int = 50
    tasks_max: int | None = None
    health: Health = Health.UNIT
    privileged: bool = False
    """Without a user namespace: container root is host root."""
    autostart: bool = True
    """A sweep starts it where it is wanted running and is not."""
    model: str | None = None
    allowed_tools: str | None = None

    @property
    def overrides(self) -> Variables:
        """What the harness is told in place of what `agent.nix` says."""
        said = {"HIVE_ALLOWED_TOOLS": self.allowed_tools, "HIVE_MODEL": self.model}
        return tuple((name, value) for name, value in said.items() if value is not None)

    def with_one(self, setting: str) -> Self:
        """These, with one changed as `KEY=VALUE` says. Raises `Refused`, code `bad-setting`."""
        key, sign, value = setting.partition("=")
        if not sign or key not in _READERS:
            raise Refused(
                f"{setting!r} sets nothing that an agent has",
                code="bad-setting",
                hint=f"KEY=VALUE, with a key of {', '.join(_READERS)}",
            )
        try:
            return replace(self, **{key: _READERS[key](value)})
        except ValueError as error:
            raise Refused(
                f"{key} cannot be {value!r}: it is {error}",
                code="bad-setting",
                hint="`hive agent show NAME` tells what it is now",
            ) from None

    def as_json(self) -> dict[str, object]:
        return {
            "memory_max": self.memory_max,
            "cpu_quota": self.cpu_quota,
            "tasks_max": self.tasks_max,
            "health": self.health.value,
            "privileged": self.privileged,
            "autostart": self.autostart,
            "model": self.model,
            "allowed_tools": self.allowed_tools,
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


_SIZE: Final = re.compile(r"([0-9]{1,20})([KMGT]?)")
_SMALLEST: Final = 16 * 1024**2
_LONGEST: Final = 1000


def _bytes(value: str) -> int:
    found = _SIZE.fullmatch(value)
    if not found:
        raise ValueError("a number of bytes, or with K, M, G or T behind it")
    size: int = int(found[1]) * 1024 ** " KMGT".index(found[2] or " ")
    if not _SMALLEST <= size < 2**62:
        raise ValueError("at least 16M, and less than the largest that systemd takes")
    return size


def _percent(value: str) -> int:
    number = _number(value.removesuffix("%"))
    if not 1 <= number <= 100_000:
        raise ValueError("a percentage of one core, from 1")
    return number


def _tasks(value: str) -> int | None:
    if value in ("", "none"):
        return None
    number = _number(value)
    if not 1 <= number <= 4_194_304:
        raise ValueError("a number of tasks from 1, or none")
    return number


def _number(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 12:
        raise ValueError("a whole number")
    return int(value)


def _switch(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError("yes or no")
    return value == "yes"


def _health(value: str) -> Health:
    if value not in set(Health):
        raise ValueError(f"one of {', '.join(Health)}")
    return Health(value)


def _words(value: str) -> str | None:
    """It becomes a line of nix and of an environment."""
    if not value.isprintable() or len(value) > _LONGEST:
        raise ValueError("one line of text")
    return value or None


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "memory_max": _bytes,
    "cpu_quota": _percent,
    "tasks_max": _tasks,
    "health": _health,
    "privileged": _switch,
    "autostart": _switch,
    "model": _words,
    "allowed_tools": _words,
}
LIMITING: Final = frozenset({"memory_max", "cpu_quota", "tasks_max"})
"""Settings that systemd applies to a running container at once."""
