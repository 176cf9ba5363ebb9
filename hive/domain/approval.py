"""Who may do what without an operator's word, and what an operator has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from hive.domain.names import Rev


@dataclass(frozen=True, slots=True)
class Policy:
    """`waiting`: kinds that wait for an operator when somebody else asks, or only proposes."""

    waiting: frozenset[str]
    builds_first: bool
    """The build comes before the gate, so that what is approved is known to build."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What would be deployed, over what, as it was at the gate."""

    rev: Rev
    deployed: Rev | None
    base: str | None
    """Its locked URL."""
    closure: str | None
    """None where it is not built yet."""
    expected: str | None = None
    """The only closure that the operator approved, where one was named."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        deployed = said.get("deployed")
        return cls(
            Rev(said["rev"]), Rev(deployed) if deployed else None, said.get("base"),
            said.get("closure"), said.get("expected"),
        )  # fmt: skip
