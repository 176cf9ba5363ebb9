"""What nix says while it builds, from `--log-format internal-json`: plain lines, and progress.

A line is `@nix` and an event. What is not known is passed over: the kinds grow with each nix.
Events are also made of what agents wrote, so nothing here may raise, whatever they hold.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any, Final

from typing_extensions import override

from hive.domain.closure import named, split

MARK: Final = "@nix "
INFO: Final = 3  #: error 0, warn 1, notice 2; from 4 on nix only chats
EVERY: Final = timedelta(seconds=1)
NAMES: Final = 4  #: as many are told; the others are counted
MOST: Final = 1 << 64  #: nix counts in 64 bits; what is beyond them is made up
MEGABYTE: Final = 1_000_000

#: Colours and other orders to a terminal.
_ORDER = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")


class Kind(IntEnum):
    """Of an activity; those that count for progress."""

    COPY = 100  #: of a store path, unpacked
    TRANSFER = 101  #: of a file, packed
    BUILDS = 104  #: all of them
    BUILD = 105  #: one
    SUBSTITUTE = 108  #: of a store path that need not be built


class Result(IntEnum):
    LOG_LINE = 101
    PROGRESS = 105  #: done, expected, running, failed
    EXPECTED = 106  #: of a kind, so much more is to come
    HOOK_LINE = 107  #: of the hook after a build


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is, by what nix told so far."""

    building: tuple[str, ...] = ()
    done: int = 0
    expected: int = 0
    running: int = 0
    failed: int = 0
    bytes_done: int = 0
    bytes_expected: int = 0
    fetching: tuple[str, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Nix tells of a build's start, or end, and of the count in two events."""
        return len(self.building) == self.running or not self.expected

    @override
    def __str__(self) -> str:
        """Such as `building 2 of 5: foo, bar (12.3 of 40.0 MB fetched)`; '' if nothing goes on."""
        what = self._doing()
        beside = [f"{self.failed} failed"] * bool(self.failed) + self._fetched()
        return f"{what} ({', '.join(beside)})" if what and beside else what

    def _doing(self) -> str:
        """One that is done goes on for a moment. One that failed is no longer expected."""
        if self.building:
            of = max(self.expected, len(self.building))
            at = min(self.done + len(self.building), of)
            return f"building {at} of {of}: {_some(self.building)}"
        return f"fetching {_some(self.fetching)}" if self.fetching else ""

    def _fetched(self) -> list[str]:
        most = max(self.bytes_done, self.bytes_expected)
        said = f"{self.bytes_done / MEGABYTE:.1f} of {most / MEGABYTE:.1f} MB fetched"
        return [said] if most else []


@dataclass(slots=True)
class _Counts:
    done: int = 0
    expected: int = 0
    running: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Activity:
    kind: int
    name: str
    counts: _Counts = field(default_factory=_Counts)
    to_come: dict[int, int] = field(default_factory=dict)
    """By kind."""


class NixLog:
    """Fed with a line at a time. `changes` counts what may have changed `progress`."""

    def __init__(self) -> None:
        self.changes = 0
        self._going: dict[int, _Activity] = {}
        self._over: dict[int, _Counts] = {}

    def hear(self, line: str) -> tuple[str, ...]:
        """What to tell of it. A line that is no event is told as it is."""
        if not line.startswith(MARK):
            return (line,)
        try:
            event = json.loads(line.removeprefix(MARK), strict=False)
        except (ValueError, RecursionError):
            return ()
        return tuple(self._told(event)) if isinstance(event, dict) else ()

    @property
    def progress(self) -> Progress:
        builds, fetched = self._sum(Kind.BUILDS), self._fetched()
        return Progress(
            building=self._names(Kind.BUILD),
            done=builds.done,
            expected=builds.expected,
            running=builds.running,
            failed=builds.failed,
            bytes_done=fetched.done,
            bytes_expected=fetched.expected,
            fetching=self._names(Kind.SUBSTITUTE),
        )

    def _told(self, event: dict[str, Any]) -> Iterable[str]:
        match event:
            case {"action": "msg", "msg": str(message)}:
                level = event.get("level")
                if not isinstance(level, int) or level <= INFO:
                    return plain(message).rstrip().split("\n")
            case {"action": "start", "id": int(number), "type": int(kind)}:
                self._start(number, kind, event.get("fields"))
            case {"action": "stop", "id": int(number)}:
                self._stop(number)
            case {"action": "result", "id": int(number), "type": int(kind), "fields": [*fields]}:
                return self._result(number, kind, fields)
            case _:
                pass
        return ()

    def _start(self, number: int, kind: int, fields: object) -> None:
        self._stop(number)
        match fields:
            case [str(path), *_]:
                name = named(path).removesuffix(".drv")
            case _:
                name = ""
        self._going[number] = _Activity(kind, name)
        self.changes += 1

    def _stop(self, number: int) -> None:
        """What it did stays done; what it still expected does not come."""
        over = self._going.pop(number, None)
        if over is None:
            return
        if over.kind in (Kind.BUILDS, Kind.COPY, Kind.TRANSFER):
            sum_ = self._over.setdefault(over.kind, _Counts())
            sum_.done += over.counts.done
            sum_.failed += over.counts.failed
        self.changes += 1

    def _result(self, number: int, kind: int, fields: list[Any]) -> Iterable[str]:
        activity = self._going.get(number)
        match kind, fields:
            case ((Result.LOG_LINE | Result.HOOK_LINE), [str(line), *_]):
                # Short, as nix itself does: the name without the version.
                short = split(activity.name)[0] if activity else ""
                said = plain(line).rstrip("\n").split("\n")
                return [f"{short}> {part}" if short else part for part in said]
            case Result.PROGRESS, [done, expected, running, failed, *_] if activity:
                activity.counts = _Counts(*map(_count, (done, expected, running, failed)))
                self.changes += 1
            case Result.EXPECTED, [int(of), expected, *_] if activity:
                activity.to_come[of] = _count(expected)
                self.changes += 1
        return ()

    def _names(self, kind: Kind) -> tuple[str, ...]:
        return tuple(one.name for one in self._going.values() if one.kind == kind and one.name)

    def _fetched(self) -> _Counts:
        """Packed bytes from the network, or unpacked ones where a cache is no network's."""
        transfers, copies = self._sum(Kind.TRANSFER), self._sum(Kind.COPY)
        return copies if copies.done and not transfers.done else transfers

    def _sum(self, kind: Kind) -> _Counts:
        over = self._over.get(kind, _Counts())
        going = [one.counts for one in self._going.values() if one.kind == kind]
        announced = sum(one.to_come.get(kind, 0) for one in self._going.values())
        return _Counts(
            done=over.done + sum(one.done for one in going),
            expected=max(over.done + sum(one.expected for one in going), announced),
            running=sum(one.running for one in going),
            failed=over.failed + sum(one.failed for one in going),
        )


class Told:
    """A reader for the door: nix's words, and between them a line of progress, each second at most.

    Only when it changed; what changed sooner than that is told in the next silence.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log, self._monotonic = NixLog(), monotonic
        self._seen = 0
        self._last = ""
        self._next_at: float | None = None

    def read(self, line: str) -> Iterator[str]:
        yield from self._log.hear(line)
        if self._is_due() and self._log.progress.is_settled:
            yield from self._changed()

    def idle(self) -> Iterator[str]:
        if self._is_due():
            yield from self._changed()

    def _is_due(self) -> bool:
        if self._log.changes == self._seen:
            return False
        return self._next_at is None or self._monotonic() >= self._next_at

    def _changed(self) -> Iterator[str]:
        self._seen = self._log.changes
        words = str(self._log.progress)
        if not words:
            return
        self._next_at = self._monotonic() + EVERY.total_seconds()
        if words != self._last:
            self._last = words
            yield words


def plain(text: str) -> str:
    return _ORDER.sub("", text)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < MOST else 0
