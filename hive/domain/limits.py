"""Limits of a container: the drop-in that hive writes, and what systemd makes of it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from hive.domain.agent import AgentSettings
from hive.errors import Refused

UNLIMITED = "infinity"
_UNITS = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_SETTINGS = {"MemoryMax": "memory_max", "CPUQuota": "cpu_quota", "TasksMax": "tasks_max"}
_LARGEST = 2**64 - 1  # what an older systemd shows for no limit


@dataclass(frozen=True, slots=True)
class Limits:
    """Memory in bytes, processor time in microseconds a second, number of tasks; None: no limit."""

    memory: int | None
    cpu_us: int | None
    tasks: int | None

    @classmethod
    def of(cls, settings: AgentSettings) -> Limits:
        return cls(settings.memory_max, settings.cpu_quota * 10_000, settings.tasks_max)

    @classmethod
    def shown(cls, properties: dict[str, str], *, with_tasks: bool) -> Limits:
        """From `systemctl show`. Tasks have a default of systemd's own: only compared when ours."""
        tasks = properties.get("TasksMax", UNLIMITED) if with_tasks else UNLIMITED
        return cls(
            _number(properties.get("MemoryMax", UNLIMITED)),
            microseconds(properties.get("CPUQuotaPerSecUSec", UNLIMITED)),
            _number(tasks),
        )

    @classmethod
    def read(cls, drop_in: str, settings: AgentSettings) -> AgentSettings:
        """`settings` with the limits that a drop-in says; what it cannot say stays as it is."""
        for line in drop_in.splitlines():
            key, _, value = line.partition("=")
            setting = _SETTINGS.get(key.strip())
            if setting is not None:
                with suppress(Refused):
                    settings = settings.with_one(f"{setting}={value.strip()}")
        return settings

    def drop_in(self) -> str:
        lines = ["[Service]"]
        if self.memory is not None:
            lines.append(f"MemoryMax={self.memory}")
        if self.cpu_us is not None:
            lines.append(f"CPUQuota={self.cpu_us // 10_000}%")
        if self.tasks is not None:
            lines.append(f"TasksMax={self.tasks}")
        return "\n".join(lines) + "\n"


def _number(text: str) -> int | None:
    number = int(text) if text.isdecimal() else _LARGEST
    return number if number < _LARGEST else None


def microseconds(span: str) -> int | None:
    """systemd's time span, such as `1min 30s` or `500ms`; `infinity` is None."""
    if span == "0":
        return 0
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|min|s|h|d)\b", span)
    return round(sum(float(n) * _UNITS[unit] for n, unit in parts)) if parts else None
