"""hive as every command asks it: over its API where that is there, else in its database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from hive.adapters.clock import SystemClock
from hive.domain.job import PENDING, JobState
from hive.domain.worker import SERVING

if TYPE_CHECKING:
    from hive.client.answers import (
        Acknowledged,
        AddedSchedule,
        Agent,
        ChangedAgent,
        Diff,
        Event,
        Job,
        Kept,
        Kind,
        Line,
        MadeToken,
        Message,
        Node,
        Page,
        PlannedStep,
        Schedule,
        Status,
        Submitted,
        Sweep,
        Token,
        Waiting,
        Worker,
    )  # fmt: skip

CLOCK: Final = SystemClock()
EVERY: Final = timedelta(milliseconds=100)
"""Between two looks at what goes on."""
PAGE: Final = 1000
"""Rows that are handed out at once."""


class Hive(Protocol):
    """Both ways answer alike, key for key: one suite of tests holds them to it.

    Every method may raise `Refused`, `Transient` or `Fault`.
    """

    @property
    def node(self) -> str:
        """The node that answers, of which a verb is where it names no other."""

    def status(self) -> Status: ...

    # Agents

    def agents(self) -> Page[Agent]: ...
    def agent(self, name: str) -> Agent: ...
    def set_agent(self, name: str, *settings: str, node: str | None = None) -> ChangedAgent: ...
    def kept(self) -> Page[Kept]: ...

    # Jobs

    def jobs(
        self,
        *,
        state: JobState | None = None,
        agent: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Job]: ...
    def submit(
        self,
        kind: Kind,
        agent: str | None = None,
        *,
        node: str | None = None,
        rev: str | None = None,
        message: str | None = None,
        restart: str | None = None,
        to: int | None = None,
        key: str | None = None,
    ) -> Submitted: ...
    def rebuild_all(self, *, node: str | None = None, restart: str | None = None) -> Page[Job]: ...
    def sweep_all(self) -> Page[Job]: ...
    def job(self, job: int) -> Job: ...
    def children(self, job: int) -> Page[Job]: ...
    def see_through(self, job: int) -> None:
        """Until it has ended or waits, and its children too.

        It is worked on in this process where that can be, and no worker serves its node.
        """

    def cancel(self, job: int) -> Job: ...
    def retry(self, job: int) -> Job: ...
    def pending(self) -> Page[Job]: ...
    def diff(self, job: int) -> Diff: ...
    def approve(self, job: int, *, expected: str | None = None) -> Job: ...
    def deny(self, job: int, *, note: str = "") -> Job: ...
    def withdraw(self, job: int) -> Job: ...
    def plan(
        self,
        verb: str,
        *,
        agent: str | None = None,
        rev: str | None = None,
        to: int | None = None,
        node: str | None = None,
    ) -> Page[PlannedStep]: ...
    def plan_sweep(self, *, node: str | None = None) -> Sweep: ...

    # Logs and events

    def logs(self, job: int, *, after: int | None = None) -> Page[Line]: ...
    def follow_logs(self, job: int, *, after: int = 0) -> Iterator[Line]: ...
    def events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> Page[Event]: ...
    def follow_events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> Iterator[Event]: ...

    # Messages

    def inbox(
        self,
        recipient: str,
        *,
        acked: bool = False,
        limit: int | None = None,
        node: str | None = None,
    ) -> Page[Message]: ...
    def waiting(self, recipient: str, *, node: str | None = None) -> Waiting: ...
    def take(
        self, recipient: str, *, limit: int | None = None, node: str | None = None
    ) -> Page[Message]: ...
    def send(
        self,
        to: str,
        text: str,
        *,
        reply_to: int | None = None,
        node: str | None = None,
        key: str | None = None,
    ) -> Message: ...
    def ack(self, ids: Collection[int]) -> Acknowledged: ...

    # Schedules

    def schedules(self) -> Page[Schedule]: ...
    def add_schedule(
        self, name: str, cron: str, verb: str, *, zone: str = "UTC", catch_up: str = "last"
    ) -> AddedSchedule: ...
    def remove_schedule(self, name: str) -> None: ...
    def enable_schedule(self, name: str) -> Schedule: ...
    def disable_schedule(self, name: str) -> Schedule: ...
    def run_schedule(self, name: str) -> Page[Job]: ...

    # The fleet, and tokens

    def workers(self) -> Page[Worker]: ...
    def nodes(self) -> Page[Node]: ...
    def pause(self, node: str) -> object: ...
    def resume(self, node: str) -> object: ...
    def tokens(self) -> Page[Token]: ...
    def add_token(
        self, role: str, *, agent: str | None = None, expires: timedelta | None = None
    ) -> MadeToken: ...
    def remove_token(self, token: int) -> None: ...


def is_served(hive: Hive, node: str) -> bool:
    """A `hive worker` or `hive up` lives there: it takes what is due by itself."""
    at_work = (one for one in hive.workers()["items"] if one["node"] == node)
    return any(one["alive"] and one["role"] in SERVING for one in at_work)


def is_pending(job: Job) -> bool:
    """It runs, or will; neither has it ended nor does it wait for an operator."""
    return JobState(job["state"]) in PENDING


def newest(
    hive: Hive,
    *,
    state: JobState | None = None,
    agent: str | None = None,
    kind: str | None = None,
    limit: int,
) -> list[Job]:
    """So many jobs at most, by as many pages as it takes."""
    found: list[Job] = []
    cursor: str | None = None
    while len(found) < limit:
        many = min(PAGE, limit - len(found))
        page = hive.jobs(state=state, agent=agent, kind=kind, limit=many, cursor=cursor)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return found
