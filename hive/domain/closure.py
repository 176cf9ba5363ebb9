"""What two closures differ in: the packages that came, went or changed, and the bytes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from typing_extensions import override

_HASHED: Final = re.compile(r"[0-9a-z]{32}-(.+)", re.DOTALL)
_VERSIONED: Final = re.compile(r"(.+?)-([0-9].*)", re.DOTALL)
_OUTPUT: Final = re.compile(
    r"-(?:bin|data|debug|dev|devdoc|devman|dist|doc|info|lib|lib32|lib64|man|out|static|terminfo)"
)
"""Parts of one package that nixpkgs puts into paths of their own. Nix itself takes any letters for
one, and so loses the end of a version such as `1.0-unstable`."""
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def named(path: str) -> str:
    """What comes after the hash: `libfoo-1.2.3` of a store path."""
    base = path.rstrip("/").rpartition("/")[2]
    found = _HASHED.fullmatch(base)
    return found[1] if found else base


def split(name: str) -> tuple[str, str]:
    """Name and version, which begins at the first dash with a digit behind it; '' if there is none.

    The output, such as `-dev`, belongs to neither.
    """
    found = _VERSIONED.fullmatch(name)
    if found is None:
        return name, ""
    version = found[2]
    last = version.rpartition("-")[0]
    return found[1], last if last and _OUTPUT.fullmatch(version[len(last) :]) else version


@dataclass(frozen=True, slots=True)
class Package:
    """All that has one name, before and after; `""` is the version of what has none."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    bytes_before: int
    bytes_after: int

    @property
    def is_rebuilt(self) -> bool:
        """The same versions, from something else: another compiler, another option."""
        return self.before == self.after

    @property
    def growth(self) -> int:
        return self.bytes_after - self.bytes_before

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "before": list(self.before),
            "after": list(self.after),
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "rebuilt": self.is_rebuilt,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """As `as_json` says it."""
        return cls(
            name=said["name"],
            before=tuple(said["before"]),
            after=tuple(said["after"]),
            bytes_before=said["bytes_before"],
            bytes_after=said["bytes_after"],
        )

    @override
    def __str__(self) -> str:
        """Such as `openssl: 3.0.9 → 3.0.11, +12.0 KiB`."""
        grown = f", {signed(self.growth)}" if self.growth else ""
        return f"{self.name}: {self._what()}{grown}"

    def _what(self) -> str:
        """Versions that are on both sides are left out, if others are not."""
        gone = [version for version in self.before if version not in self.after]
        new = [version for version in self.after if version not in self.before]
        if gone and new:
            return f"{_listed(gone)} → {_listed(new)}"
        if gone or new:
            return _said(gone or new, "removed" if gone else "added")
        return _said(list(self.after), "rebuilt")


@dataclass(frozen=True, slots=True)
class ClosureDifference:
    """By name, each in one of the three; what is the same path in both is in none of them."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[Package, ...]
    """Other versions, or the same ones rebuilt."""
    size_before: int
    size_after: int

    def as_json(self) -> dict[str, Any]:
        """Stable keys; sizes are bytes as nix packs them (`narSize`)."""
        return {
            "added": [package.as_json() for package in self.added],
            "removed": [package.as_json() for package in self.removed],
            "changed": [package.as_json() for package in self.changed],
            "size_before": self.size_before,
            "size_after": self.size_after,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """As `as_json` says it."""
        parts = {
            part: tuple(map(Package.from_json, said[part]))
            for part in ("added", "removed", "changed")
        }
        return cls(**parts, size_before=said["size_before"], size_after=said["size_after"])

    def lines(self) -> Iterator[str]:
        """For people: one for each package, by name."""
        packages = (*self.added, *self.removed, *self.changed)
        return map(str, sorted(packages, key=lambda package: package.name))

    @override
    def __str__(self) -> str:
        """Such as `1 added, 2 changed, 3 rebuilt; 1.2 GiB, +12.0 KiB`."""
        rebuilt = sum(package.is_rebuilt for package in self.changed)
        counts = {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed) - rebuilt,
            "rebuilt": rebuilt,
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        grown = self.size_after - self.size_before
        size = f"{sized(self.size_after)}{f', {signed(grown)}' if grown else ''}"
        return f"{said or 'nothing changed'}; {size}"


def difference(before: Mapping[str, int] | None, after: Mapping[str, int]) -> ClosureDifference:
    """Of two closures as store path → bytes; None where there was none before."""
    old, new = _packages(before or {}), _packages(after)
    differing = {
        name: _package(name, old.get(name, {}), new.get(name, {}))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
    return ClosureDifference(
        added=tuple(one for name, one in differing.items() if name not in old),
        removed=tuple(one for name, one in differing.items() if name not in new),
        changed=tuple(one for name, one in differing.items() if name in old and name in new),
        size_before=sum((before or {}).values()),
        size_after=sum(after.values()),
    )


def signed(size: int) -> str:
    """`+12.0 KiB`, `-3 bytes`."""
    return f"{'-' if size < 0 else '+'}{sized(abs(size))}"


def sized(size: int) -> str:
    """`12.0 KiB`, `3 bytes`."""
    if size < 1024:
        return f"{size} bytes"
    amount, unit = float(size), 0
    while amount >= 1024 and unit + 1 < len(_UNITS):
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}"


def _packages(closure: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By name: its paths, and their bytes."""
    found: dict[str, dict[str, int]] = {}
    for path, size in closure.items():
        found.setdefault(split(named(path))[0], {})[path] = size
    return found


def _package(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> Package:
    return Package(
        name, _versions(before), _versions(after), sum(before.values()), sum(after.values())
    )


def _versions(paths: Mapping[str, int]) -> tuple[str, ...]:
    """Each once, and 3.9 before 3.11."""
    return tuple(sorted({split(named(path))[1] for path in paths}, key=_in_order))


def _in_order(version: str) -> tuple[tuple[int, str], ...]:
    """Numbers by their value: as text with its length in front."""
    parts = re.findall(r"[0-9]+|[^0-9]+", version)
    return tuple(
        (len(part.lstrip("0")), part.lstrip("0")) if part[0] in "0123456789" else (0, part)
        for part in parts
    )


def _listed(versions: list[str]) -> str:
    return ", ".join(version or "no version" for version in versions)


def _said(versions: list[str], what: str) -> str:
    """What has no version at all needs no word for it."""
    return what if versions == [""] else f"{_listed(versions)} {what}"
