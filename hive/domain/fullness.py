"""How full a disk is, and what comes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

WARNING: Final = 85
CRITICAL: Final = 95
"""Percent, as `df` counts it."""


class Fullness(StrEnum):
    OK = "ok"
    WARNING = "warning"  #: an operator is told
    CRITICAL = "critical"  #: and nothing new is built

    @classmethod
    def of(cls, percent: int) -> Fullness:
        if percent >= CRITICAL:
            return cls.CRITICAL
        return cls.WARNING if percent >= WARNING else cls.OK
