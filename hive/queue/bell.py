"""The doorbell: it says that a job may be due, and is never waited for."""

from __future__ import annotations

from typing import Protocol

from hive.domain.job import JobId
from hive.domain.names import NodeName


class Bell(Protocol):
    def ring(self, node: NodeName, job: JobId) -> None:
        """Tell the workers of `node`. Never raises, never waits: a lost ring costs a poll."""
        ...

    def close(self) -> None:
        """What was rung has a moment to go out."""
        ...


class Silence:
    """Nobody listens in this process: workers elsewhere look at the database themselves."""

    def ring(self, node: NodeName, job: JobId) -> None: ...

    def close(self) -> None: ...
