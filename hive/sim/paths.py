"""What the sim's nix knows of paths in its store: closures, sizes, differences."""

from __future__ import annotations

import os
import re

from hive.sim import nar
from hive.sim.sources import NixError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.places import Places

WORTH_SAYING = 8 * 1024


def valid(places: Places, path: str) -> str:
    """The store path that `path` is, leads to, or lies in."""
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        if os.path.dirname(real) == places.store:
            raise NixError(f"path '{real}' is not valid")
        raise NixError(f"getting status of '{path}': No such file or directory")
    below = os.path.relpath(real, places.store)
    if below.startswith("."):
        raise NixError(f"path '{real}' is not in the Nix store")
    return os.path.join(places.store, below.split(os.sep)[0])


def references(path: str) -> list[str]:
    try:
        with open(os.path.join(path, "nix-support", "references"), encoding="utf-8") as file:
            return file.read().split()
    except (FileNotFoundError, NotADirectoryError):
        return []


def closure(path: str) -> list[str]:
    """What it needs comes first, itself last."""
    found: list[str] = []
    for below in references(path):
        found += [each for each in closure(below) if each not in found]
    return [*found, path]


def info(path: str, *, with_closure_size: bool) -> dict[str, Any]:
    tree = nar.read(path)
    found: dict[str, Any] = {
        "path": path,
        "narHash": nar.nar_hash(tree),
        "narSize": len(nar.nar(tree)),
        "references": references(path),
        "registrationTime": int(os.lstat(path).st_mtime),
        "ultimate": True,
    }
    if with_closure_size:
        found["closureSize"] = sum(len(nar.nar(nar.read(each))) for each in closure(path))
    return found


def difference(before: str, after: str) -> list[str]:
    """`name: 1.0 → 1.1, +12.3 KiB`, for those whose version or size changed enough to be said."""
    old, new = _packages(before), _packages(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        was, size_was = old.get(name, ("∅", 0))
        now, size_now = new.get(name, ("∅", 0))
        words = [f"{was or 'ε'} → {now or 'ε'}"] if was != now else []
        if abs(size_now - size_was) >= WORTH_SAYING:
            words.append(f"{(size_now - size_was) / 1024:+.1f} KiB")
        if words:
            lines.append(f"{name}: {', '.join(words)}")
    return lines


def _packages(path: str) -> dict[str, tuple[str, int]]:
    """Name → version, and bytes."""
    found: dict[str, tuple[str, int]] = {}
    for each in closure(path):
        parts = re.fullmatch(r"(.*?)(?:-(\d.*))?", os.path.basename(each)[33:])
        name, version = (parts[1], parts[2] or "") if parts else (each, "")
        found[name] = (version, found.get(name, ("", 0))[1] + len(nar.nar(nar.read(each))))
    return found
