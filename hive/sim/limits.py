"""Resource limits of a unit: read from drop-ins when these are loaded, printed as systemd does."""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.places import Places

INFINITY = "infinity"
NAMES = {"MemoryMax": "MemoryMax", "CPUQuota": "CPUQuotaPerSecUSec", "TasksMax": "TasksMax"}
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SPANS = (
    ("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000),
    ("s", 1_000_000), ("ms", 1_000), ("us", 1),
)  # fmt: skip


def load(places: Places, container: str) -> dict[str, Any]:
    """What the drop-ins of this moment say, and by which files that will be known to be old."""
    limits = dict.fromkeys(NAMES.values(), INFINITY)
    for path in _files(places, container):
        limits |= _read(path)
    return {"limits": limits, "files": fingerprint(places, container)}


def fingerprint(places: Places, container: str) -> list[list[object]]:
    found = []
    for path in _files(places, container):
        at = os.stat(path)
        found.append([path, at.st_mtime_ns, at.st_size])
    return found


def _files(places: Places, container: str) -> list[str]:
    folder = places.drop_ins(container)
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(".conf")]


def _read(path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    section = ""
    with open(path, encoding="utf-8") as file:
        for line in map(str.strip, file):
            key, equals, value = (part.strip() for part in line.partition("="))
            if line.startswith("["):
                section = line
            elif equals and section == "[Service]" and key in NAMES:
                printed = _PRINT[key](value)  # what systemd cannot read it says and passes over
                found |= {NAMES[key]: printed} if printed else {}
    return found


def _size(value: str) -> str | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", value)
    if value in ("", INFINITY):
        return INFINITY
    return str(int(float(found[1]) * _SIZES[found[2]])) if found else None


def _quota(value: str) -> str | None:
    found = re.fullmatch(r"(\d+(?:\.\d{1,2})?)%", value)
    if value == "":
        return INFINITY
    return span(round(float(found[1]) * 10_000)) if found else None


def _count(value: str) -> str | None:
    if value in ("", INFINITY):
        return INFINITY
    return value if value.isdigit() else None


_PRINT = {"MemoryMax": _size, "CPUQuota": _quota, "TasksMax": _count}


def span(microseconds: int) -> str:
    """`500ms`, `1.5s`, `1min 30s`: systemd's way with a span of time."""
    words: list[str] = []
    for unit, size in _SPANS:
        whole, rest = divmod(microseconds, size)
        if unit != "us" and size <= 1_000_000 and whole and rest:
            return " ".join([*words, f"{microseconds / size:.6f}".rstrip("0") + unit])
        if whole:
            words.append(f"{whole}{unit}")
            microseconds = rest
    return " ".join(words) or "0"
