"""What hive tells of its own accord: once, and to whoever must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hive.domain.names import AgentName

GIVEN_UP: Final = "agent.failed"
"""An agent is left alone from now on, until an operator acts."""


class Reader(StrEnum):
    MANAGER = "manager"  #: the manager of the node
    OPERATOR = "operator"  #: somebody must act


@dataclass(frozen=True, slots=True)
class Report:
    """An event and a message of one kind; under one `once` key it is told a single time."""

    kind: str
    """As in `hive events`, such as `agent.failed`."""
    body: str
    """For people: one line, and what else they need below it."""
    once: str
    to: frozenset[Reader]
    agent: AgentName | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    topic: str | None = None
    """Of the message, where that has a name of old: managers go by it."""
