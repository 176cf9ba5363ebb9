"""Somebody was told of an event: by a command that this host runs, or by a POST."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.notifier import Notifier, address_of
from hive.errors import Refused, Transient
from hive.steps.step import Differs, Finding, Holds

WITHIN: Final = timedelta(seconds=30)
FAR: Final = 10_000
"""A mark so many events back is of a job that ended long ago."""
AT_ONCE: Final = 1000
"""Old marks that are taken away by one call."""
BUSY: Final = frozenset({408, 425, 429})
"""What a server says that may take the same call later."""


@dataclass(frozen=True, slots=True)
class Notified:
    """What `notifier` calls was told of `event` by job `job`.

    A mark says so, written behind the call: whoever is killed between the two calls again.
    """

    notifier: Notifier
    job: JobId
    event: Mapping[str, Any]

    def check(self, world: World) -> Finding:
        if world.files.read(self._mark(world)) != self._said:
            return Differs(f"{self.notifier.name} was not told of event {self.event['seq']}")
        return Holds(f"{self.notifier.name} was told of event {self.event['seq']}")

    def apply(self, world: World) -> None:
        if self.notifier.command is not None:
            world.shell.run(*self.notifier.command, stdin=self._body, within=WITHIN)
        else:
            self._post(world)
        world.files.write(self._mark(world), self._said, mode=0o600)
        self._forget_old(world)

    def _post(self, world: World) -> None:
        """Nothing that is raised or logged has more of the URL than scheme, host and port."""
        url = self.notifier.url or _url_in(world, self.notifier.url_file)
        address = address_of(url)
        status = world.http.post(url, self._body, within=WITHIN)
        if status in BUSY or status >= 500:
            raise Transient(f"{address} answered {status}", code="not-delivered")
        if not 200 <= status < 300:
            raise Refused(
                f"{address} answered {status}",
                code="call-refused",
                hint="look at the notifier's URL; hive follows no redirect",
            )

    @property
    def _body(self) -> bytes:
        return json.dumps(dict(self.event)).encode() + b"\n"

    @property
    def _said(self) -> str:
        """Of this job and event: a database that was lost gives numbers again."""
        return f"{self.job} {hashlib.sha256(self._body).hexdigest()}\n"

    def _mark(self, world: World) -> Path:
        return world.layout.notified / self.notifier.name / str(self.event["seq"])

    def _forget_old(self, world: World) -> None:
        folder = world.layout.notified / self.notifier.name
        before = int(self.event["seq"]) - FAR
        numbers = (int(name) for name in world.files.entries(folder) if name.isdecimal())
        for old in sorted(number for number in numbers if number < before)[:AT_ONCE]:
            world.files.remove(folder / str(old))


def _url_in(world: World, path: Path | None) -> str:
    """The first line: it is read for the call, and kept nowhere."""
    text = world.files.read(path) if path else None
    if not (lines := (text or "").split()):
        raise Refused(
            f"there is no URL in {path}",
            code="no-url",
            hint="write it there, in one line, for root alone to read",
        )
    return lines[0]
