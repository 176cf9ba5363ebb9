"""hive asked over its API: at this host's socket, or at a URL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cli.boundary import on_this_host
from cli.hive import CLOCK, EVERY, is_pending, is_served
from hive.client import Client
from hive.client.answers import Job
from hive.client.places import place_of
from hive.client.wire import Wire
from hive.domain.job import JobId
from hive.errors import HiveError, Transient

PATIENCE: Final = timedelta(seconds=60)
"""An API that is started again meanwhile does not end a look at a job."""
PROMPT: Final = timedelta(seconds=5)
"""An API that does not say within this who asks is none: one that was stopped, perhaps."""
RARELY: Final = timedelta(seconds=2)
"""Between two looks whether anybody works on what is waited for."""


@dataclass(frozen=True, slots=True)
class Over(Client):
    is_ours: bool = False
    """It is that of our own settings: a job that no worker takes, this process can work on."""

    @classmethod
    def socket(cls, path: Path, *, is_ours: bool = True) -> Over | None:
        """None where nobody answers there, or not to us: then the database is asked."""
        place = place_of(path)
        try:
            cls(Wire(place, within=PROMPT)).whoami()
        except HiveError:
            return None
        return cls(Wire(place), is_ours=is_ours)

    @property
    def node(self) -> str:
        return self.whoami()["node"]

    def see_through(self, job: int) -> None:
        self._seen_through(job)
        for child in self.children(job)["items"]:
            self._seen_through(child["id"])

    def _seen_through(self, job: int) -> None:
        looked = float("-inf")
        while is_pending(found := self._patiently(job)):
            now = CLOCK.monotonic()
            if self.is_ours and now - looked > RARELY.total_seconds():
                looked = now
                if found["node"] == self.node and not is_served(self, found["node"]):
                    _work_on(job)
                    continue
            CLOCK.sleep(EVERY)

    def _patiently(self, job: int) -> Job:
        until = CLOCK.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                return self.job(job)
            except Transient:
                if CLOCK.monotonic() > until:
                    raise
                CLOCK.sleep(EVERY)


def _work_on(job: int) -> None:
    """A command with no worker alive is the worker."""
    with on_this_host() as host:
        from hive.service import jobs

        jobs.run(host, JobId(job))
