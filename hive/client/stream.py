"""Reading a stream of server-sent events, which goes on behind the last one after a break."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from hive.client.problem import not_hive
from hive.client.wire import Json, Query, Wire
from hive.errors import Transient

LINE: Final = 4 * 1024 * 1024
"""Bytes of a line, and of an event."""
SILENT: Final = timedelta(seconds=60)
"""hive says something at least this often, if only that it is there."""
LONGEST: Final = 20
"""Digits of a number that some event could have."""
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 5.0


class Lines(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """One event, as it came."""

    id: int | None
    data: Json
    kind: str = "message"


@dataclass(frozen=True, slots=True)
class Stream:
    """A route that sends events, each with a number that only rises."""

    wire: Wire
    path: str
    query: Query
    tries: int = 10
    """So often in a row it may break without an event; then its `Transient` is raised."""
    wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds)

    def behind(self, last: int | None) -> Iterator[Sent]:
        """Every event behind `last`, once; a stream that ends is opened anew."""
        broken = 0
        while True:
            try:
                with self.wire.listen(
                    self.path, query=self.query, last=last, silent=SILENT
                ) as lines:
                    for one in sent(lines):
                        if one.id is None or last is None or one.id > last:
                            last, broken = one.id if one.id is not None else last, 0
                            yield one
            except Transient:
                if broken >= self.tries:
                    raise
            broken += 1
            self.wait(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (broken - 1)))


def sent(lines: Lines) -> Iterator[Sent]:
    """What a stream says until it ends; of an event that is not whole, nothing."""
    data: list[str] = []
    number: int | None = None
    kind, size = "message", 0
    while line := lines.readline(LINE + 1):
        size += len(line)
        if size > LINE:
            raise not_hive(f"an event has more than {LINE} bytes")
        if not line.endswith(b"\n"):
            return
        name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
        elif name == "id":
            number = _number(value.removeprefix(" "))
        elif name == "event":
            kind = value.removeprefix(" ")
        elif not line.strip():
            if data:
                yield Sent(number, _object("\n".join(data)), kind)
            data, number, kind, size = [], None, "message", 0


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST else None


def _object(text: str) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise not_hive("an event of the stream is no object of JSON")
    return value
