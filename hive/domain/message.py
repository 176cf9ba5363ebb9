"""A message: what is left in an inbox, and stays there until somebody has acknowledged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from hive.domain.names import NodeName

OPERATOR: Final = "operator"
"""Has one inbox, whatever the node; so no agent has this name."""
HIVE: Final = "hive"
"""Who sends what hive itself tells."""
LEASE: Final = timedelta(minutes=5)
"""What was taken and not acknowledged comes back after that."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is not in its inbox yet."""

    recipient: str
    sender: str
    body: str
    node: NodeName | None = None  #: the recipient's; None: the operator, the same everywhere
    topic: str | None = None  #: what kind of event it tells
    data: Mapping[str, Any] | None = None
    reply_to: int | None = None
    once: str | None = None  #: what is told to a recipient under this key is told once


@dataclass(frozen=True, slots=True)
class Message:
    """A row, read."""

    seq: int
    node: NodeName | None
    recipient: str
    sender: str
    body: str
    topic: str | None
    data: Mapping[str, Any] | None
    reply_to: int | None
    sent_at: datetime
    delivered_at: datetime | None  #: to whoever took it first
    deliveries: int
    reader: str | None  #: who took it last
    leased_until: datetime | None  #: until then it is the reader's, unless it is acknowledged
    acked_at: datetime | None

    @property
    def is_again(self) -> bool:
        """It was delivered before, and that reader has not acknowledged it."""
        return self.deliveries > 1
