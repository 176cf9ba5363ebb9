"""hive as every command asks it: over its API where that is there, else in its database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from hive.adapters.clock import SystemClock
from hive.domain.job import PENDING, JobState
from hive.domain.worker import SERVING

if TYPE_CHECKING:
    from hive.client import answers

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

    def status(self) -> answers.Status: ...

    # Agents

    def agents(self) -> answers.Page[answers.Agent]: ...
    def agent(self, name: str) -> answers.Agent: ...
    def set_agent(
        self, name: str, *settings: str, node: str | None = None
    ) -> answers.ChangedAgent: ...
    def kept(self) -> answers.Page[answers.Kept]: ...

    # Jobs

    def jobs(
        self,
        *,
        state: JobState | None = None,
        agent: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> answers.Page[answers.Job]: ...
    def submit(
        self,
        kind: answers.Kind,
        agent: str | None = None,
        *,
        node: str | None = None,
        rev: str | None = None,
        message: str | None = None,
        restart: str | None = None,
        to: int | None = None,
        key: str | None = None,
    ) -> answers.Submitted: ...
    def rebuild_all(
        self, *, node: str | None = None, restart: str | None = None
    ) -> answers.Page[answers.Job]: ...
    def sweep_all(self) -> answers.Page[answers.Job]: ...
    def job(self, job: int) -> answers.Job: ...
    def children(self, job: int) -> answers.Page[answers.Job]: ...
    def see_through(self, job: int) -> None:
        """Until it has ended or waits, and its children too.

        It is worked on in this process where that can be, and no worker serves its node.
        """

    def cancel(self, job: int) -> answers.Job: ...
    def retry(self, job: int) -> answers.Job: ...
    def pending(self) -> answers.Page[answers.Job]: ...
    def diff(self, job: int) -> answers.Diff: ...
    def approve(self, job: int, *, expected: str | None = None) -> answers.Job: ...
    def deny(self, job: int, *, note: str = "") -> answers.Job: ...
    def withdraw(self, job: int) -> answers.Job: ...
    def plan(
        self,
        verb: str,
        *,
        agent: str | None = None,
        rev: str | None = None,
        to: int | None = None,
        node: str | None = None,
    ) -> answers.Page[answers.PlannedStep]: ...
    def plan_sweep(self, *, node: str | None = None) -> answers.Sweep: ...

    # Logs and events

    def logs(self, job: int, *, after: int | None = None) -> answers.Page[answers.Line]: ...
    def follow_logs(self, job: int, *, after: int = 0) -> Iterator[answers.Line]: ...
    def events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> answers.Page[answers.Event]: ...
    def follow_events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> Iterator[answers.Event]: ...

    # Messages

    def inbox(
        self,
        recipient: str,
        *,
        acked: bool = False,
        limit: int | None = None,
        node: str | None = None,
    ) -> answers.Page[answers.Message]: ...
    def waiting(self, recipient: str, *, node: str | None = None) -> answers.Waiting: ...
    def take(
        self, recipient: str, *, limit: int | None = None, node: str | None = None
    ) -> answers.Page[answers.Message]: ...
    def send(
        self,
        to: str,
        text: str,
        *,
        reply_to: int | None = None,
        node: str | None = None,
        key: str | None = None,
    ) -> answers.Message: ...
    def ack(self, ids: Collection[int]) -> answers.Acknowledged: ...

    # Schedules

    def schedules(self) -> answers.Page[answers.Schedule]: ...
    def add_schedule(
        self, name: str, cron: str, verb: str, *, zone: str = "UTC", catch_up: str = "last"
    ) -> answers.AddedSchedule: ...
    def remove_schedule(self, name: str) -> None: ...
    def enable_schedule(self, name: str) -> answers.Schedule: ...
    def disable_schedule(self, name: str) -> answers.Schedule: ...
    def run_schedule(self, name: str) -> answers.Page[answers.Job]: ...

    # The fleet, and tokens

    def workers(self) -> answers.Page[answers.Worker]: ...
    def nodes(self) -> answers.Page[answers.Node]: ...
    def pause(self, node: str) -> object: ...
    def resume(self, node: str) -> object: ...
    def tokens(self) -> answers.Page[answers.Token]: ...
    def add_token(
        self, role: str, *, agent: str | None = None, expires: timedelta | None = None
    ) -> answers.MadeToken: ...
    def remove_token(self, token: int) -> None: ...


def is_served(hive: Hive, node: str) -> bool:
    """A `hive worker` or `hive up` lives there: it takes what is due by itself."""
    at_work = (one for one in hive.workers()["items"] if one["node"] == node)
    return any(one["alive"] and one["role"] in SERVING for one in at_work)


def is_pending(job: answers.Job) -> bool:
    """It runs, or will; neither has it ended nor does it wait for an operator."""
    return JobState(job["state"]) in PENDING


def newest(
    hive: Hive,
    *,
    state: JobState | None = None,
    agent: str | None = None,
    kind: str | None = None,
    limit: int,
) -> list[answers.Job]:
    """So many jobs at most, by as many pages as it takes."""
    found: list[answers.Job] = []
    cursor: str | None = None
    while len(found) < limit:
        many = min(PAGE, limit - len(found))
        page = hive.jobs(state=state, agent=agent, kind=kind, limit=many, cursor=cursor)
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    return found
