"""How full a disk is, and what comes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

WARNING: Final = 85
CRITICAL: Final = 95
"""Percent, as `df` counts it."""
ROOM: Final = 3
"""So much below a mark there is room again: a disk that flutters around it is told of once."""


class Fullness(StrEnum):
    OK = "ok"
    WARNING = "warning"  #: an operator is told
    CRITICAL = "critical"  #: and nothing new is built

    @classmethod
    def of(cls, percent: int, before: Fullness | None = None) -> Fullness:
        """What it was `before` it is still, unless it fills up or there is room again."""
        if percent >= CRITICAL - (ROOM - 1 if before is cls.CRITICAL else 0):
            return cls.CRITICAL
        is_above = percent >= WARNING - (ROOM - 1 if before in (cls.WARNING, cls.CRITICAL) else 0)
        return cls.WARNING if is_above else cls.OK
