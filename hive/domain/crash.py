"""A container that went down and was not asked to: what is known of it, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hive.domain.names import AgentName, NodeName

LIMIT: Final = 5
"""Crashes within `WITHIN` after which nobody but an operator starts the agent again."""
WITHIN: Final = timedelta(minutes=10)
WAITS: Final = (
    timedelta(0),
    timedelta(0),
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(seconds=90),
)
"""Before the next start, by the number of crashes that are not older than `WITHIN`."""


@dataclass(frozen=True, slots=True)
class Crash:
    """One run of a container that ended by itself, in systemd's words."""

    node: NodeName
    agent: AgentName
    invocation: str
    """systemd's name of the run, so that one crash is one, whoever notices it."""
    at: datetime
    result: str
    exit: str
    said: str
    """The last lines of its journal."""


def recent(crashes: Sequence[datetime], now: datetime) -> int:
    """How many of them count still. One from the future, of a clock that jumped, does."""
    return sum(1 for at in crashes if now - at <= WITHIN)


def wait_before_start(crashes: Sequence[datetime], now: datetime) -> timedelta | None:
    """How long an agent that crashed waits for its next start; None where it is given up."""
    count = recent(crashes, now)
    return WAITS[count] if count < LIMIT else None
