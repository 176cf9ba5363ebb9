"""Every route of hive's API as one method: what it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

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
    Me,
    Message,
    Node,
    OwnWord,
    Page,
    PlannedStep,
    Schedule,
    Status,
    Submitted,
    Sweep,
    Token,
    Waiting,
    Worker,
    of,
    page_of,
)  # fmt: skip
from hive.client.places import place_of
from hive.client.stream import Stream
from hive.client.wire import Json, Wire
from hive.domain.job import JobState
from hive.domain.names import AgentName, NodeName

LONGEST_WAIT: Final = timedelta(seconds=180)
"""That hive lets a reader wait for a message."""
END: Final = "end"
"""The last event of a log's stream."""


@dataclass(frozen=True, slots=True)
class Client:
    """hive, asked over its API. Every method may raise `Refused`, `Transient` or `Fault`.

    A client holds no connection: it may be kept for ever, and threads may share it.
    """

    wire: Wire

    @classmethod
    def at(
        cls,
        where: str | Path,
        token: str | None = None,
        *,
        within: timedelta = timedelta(seconds=30),
    ) -> Self:
        """Of a socket's path, which needs no token, or a URL. `within` is for each request."""
        return cls(Wire(place_of(where), token, within))

    # Who asks, and how things are

    def whoami(self) -> Me:
        return of(Me, self._get("/v1/whoami"))

    def status(self) -> Status:
        return of(Status, self._get("/v1/status"))

    def tell_status(self, text: str, about: str | None = None) -> OwnWord:
        """What an agent says of itself, over its own socket.

        `about`: the manager is told, too: `needs_login`, `logged_in` or `config_ready`.
        """
        more = {} if about is None else {"about": about}
        return of(OwnWord, self._post("/v1/status", {"text": text, **more}))

    # Agents

    def agents(self) -> Page[Agent]:
        return page_of(Agent, self._get("/v1/agents"))

    def agent(self, name: str) -> Agent:
        return of(Agent, self._get(f"/v1/agents/{AgentName(name)}"))

    def set_agent(self, name: str, *settings: str, node: str | None = None) -> ChangedAgent:
        """Change settings, each said as KEY=VALUE."""
        path, body = f"/v1/agents/{AgentName(name)}", {"settings": list(settings)}
        asked = self.wire.ask("PATCH", path, query={"node": node}, body=body)
        return of(ChangedAgent, asked)

    def kept(self) -> Page[Kept]:
        return page_of(Kept, self._get("/v1/kept"))

    # Jobs

    def jobs(
        self,
        *,
        state: JobState | None = None,
        agent: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Newest first; what `next` says is the `cursor` of the next page."""
        return page_of(
            Job,
            self._get("/v1/jobs", state=state, agent=agent, kind=kind, limit=limit, cursor=cursor),
        )

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
    ) -> Submitted:
        """Once this returns, the job is on the disk. Said again under its `key`, it is the same."""
        name = None if agent is None else AgentName(agent)
        body = _said(
            kind=kind, agent=name, node=node, rev=rev, message=message, restart=restart, to=to
        )
        return of(Submitted, self.wire.ask("POST", "/v1/jobs", body=body, key=key))

    def rebuild_all(self, *, node: str | None = None, restart: str | None = None) -> Page[Job]:
        """A job for each agent of a node."""
        body = _said(kind="rebuild", node=node, restart=restart)
        return page_of(Job, self._post("/v1/jobs", body))

    def sweep_all(self) -> Page[Job]:
        """A job for each node, which looks at all of its agents."""
        return page_of(Job, self._post("/v1/jobs", {"kind": "reconcile", "all_nodes": True}))

    def job(self, job: int) -> Job:
        return of(Job, self._get(f"/v1/jobs/{job:d}"))

    def children(self, job: int) -> Page[Job]:
        return page_of(Job, self._get(f"/v1/jobs/{job:d}/children"))

    def cancel(self, job: int) -> Job:
        """It is cancelled, or will be by whoever runs it."""
        return of(Job, self._post(f"/v1/jobs/{job:d}/cancel"))

    def retry(self, job: int) -> Job:
        return of(Job, self._post(f"/v1/jobs/{job:d}/retry"))

    def pending(self) -> Page[Job]:
        return page_of(Job, self._get("/v1/pending"))

    def diff(self, job: int) -> Diff:
        return of(Diff, self._get(f"/v1/jobs/{job:d}/diff"))

    def approve(self, job: int, *, expected: str | None = None) -> Job:
        """`expected` is the closure that was looked at: for another one it is refused."""
        return of(Job, self._post(f"/v1/jobs/{job:d}/approve", {"expected": expected}))

    def deny(self, job: int, *, note: str = "") -> Job:
        return of(Job, self._post(f"/v1/jobs/{job:d}/deny", {"note": note}))

    def withdraw(self, job: int) -> Job:
        return of(Job, self._post(f"/v1/jobs/{job:d}/withdraw"))

    def plan(
        self,
        verb: str,
        *,
        agent: str | None = None,
        rev: str | None = None,
        to: int | None = None,
        node: str | None = None,
    ) -> Page[PlannedStep]:
        """What a verb would find right now; nothing is touched."""
        query = {"agent": agent, "rev": rev, "to": to, "node": node}
        return page_of(PlannedStep, self._get(f"/v1/plan/{_part(verb)}", **query))

    def plan_sweep(self, *, node: str | None = None) -> Sweep:
        """Which agents differ from what is wanted, and the jobs that would mend them."""
        return of(Sweep, self._get("/v1/plan/reconcile", node=node))

    # Logs and events

    def logs(self, job: int, *, after: int | None = None, limit: int | None = None) -> Page[Line]:
        """The lines behind number `after`, oldest first."""
        return page_of(Line, self._get(f"/v1/jobs/{job:d}/logs", after=after, limit=limit))

    def follow_logs(self, job: int, *, after: int = 0) -> Iterator[Line]:
        """Every line behind `after`, as it is written, until the job has ended."""
        for sent in Stream(self.wire, f"/v1/jobs/{job:d}/logs/live", {}).behind(after):
            if sent.kind == END:
                return
            yield of(Line, sent.data)

    def events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
        limit: int | None = None,
    ) -> Page[Event]:
        """Those behind number `after`, oldest first; without it, the last ones."""
        return page_of(
            Event,
            self._get("/v1/events", after=after, kind=kind, agent=agent, job=job, limit=limit),
        )

    def follow_events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> Iterator[Event]:
        """Every event behind `after`, or from now on, without end; none is missed or doubled."""
        if after is None:
            last = self.events(limit=1)["items"]
            after = last[-1]["seq"] if last else 0
        query = {"kind": kind, "agent": agent, "job": job}
        for sent in Stream(self.wire, "/v1/events/live", query).behind(after):
            yield of(Event, sent.data)

    # Messages

    def inbox(
        self,
        recipient: str,
        *,
        acked: bool = False,
        limit: int | None = None,
        node: str | None = None,
    ) -> Page[Message]:
        """What waits, from the oldest; or the newest, acknowledged too. Nothing is taken."""
        query = {"acked": acked or None, "limit": limit, "node": node}
        return page_of(Message, self._get(f"/v1/inbox/{_part(recipient)}", **query))

    def waiting(self, recipient: str, *, node: str | None = None) -> Waiting:
        """How many messages nobody has acknowledged."""
        return of(Waiting, self._get(f"/v1/inbox/{_part(recipient)}/count", node=node))

    def take(
        self,
        recipient: str,
        *,
        limit: int | None = None,
        wait: timedelta = timedelta(),
        node: str | None = None,
    ) -> Page[Message]:
        """The next messages, as soon as there is one; what is not acknowledged comes back."""
        waits = min(wait, LONGEST_WAIT)
        path, query = f"/v1/inbox/{_part(recipient)}/take", {"node": node}
        body = _said(wait=waits.total_seconds(), limit=limit)
        asked = self.wire.ask("POST", path, query=query, body=body, longer=waits)
        return page_of(Message, asked)

    def send(
        self,
        to: str,
        text: str,
        *,
        reply_to: int | None = None,
        node: str | None = None,
        key: str | None = None,
    ) -> Message:
        """Once this returns, the message is on the disk. Under its `key` it is sent once."""
        body = _said(to=to, text=text, reply_to=reply_to, node=node)
        return of(Message, self.wire.ask("POST", "/v1/messages", body=body, key=key))

    def ack(self, ids: Collection[int]) -> Acknowledged:
        """They do not come back. Twice is once."""
        return of(Acknowledged, self._post("/v1/messages/ack", {"ids": list(ids)}))

    # Schedules

    def schedules(self) -> Page[Schedule]:
        return page_of(Schedule, self._get("/v1/schedules"))

    def add_schedule(
        self, name: str, cron: str, verb: str, *, zone: str = "UTC", catch_up: str = "last"
    ) -> AddedSchedule:
        body = {"name": name, "cron": cron, "verb": verb, "zone": zone, "catch_up": catch_up}
        return of(AddedSchedule, self._post("/v1/schedules", body))

    def remove_schedule(self, name: str) -> None:
        self.wire.ask("DELETE", f"/v1/schedules/{_part(name)}")

    def enable_schedule(self, name: str) -> Schedule:
        return of(Schedule, self._post(f"/v1/schedules/{_part(name)}/enable"))

    def disable_schedule(self, name: str) -> Schedule:
        return of(Schedule, self._post(f"/v1/schedules/{_part(name)}/disable"))

    def run_schedule(self, name: str) -> Page[Job]:
        """Its jobs, now."""
        return page_of(Job, self._post(f"/v1/schedules/{_part(name)}/run"))

    # The fleet

    def workers(self) -> Page[Worker]:
        return page_of(Worker, self._get("/v1/workers"))

    def nodes(self) -> Page[Node]:
        return page_of(Node, self._get("/v1/nodes"))

    def pause(self, node: str) -> Json:
        return self._post(f"/v1/nodes/{NodeName(node)}/pause")

    def resume(self, node: str) -> Json:
        return self._post(f"/v1/nodes/{NodeName(node)}/resume")

    # Tokens

    def tokens(self) -> Page[Token]:
        return page_of(Token, self._get("/v1/tokens"))

    def add_token(
        self, role: str, *, agent: str | None = None, expires: timedelta | None = None
    ) -> MadeToken:
        """The one time that the token itself is told. `expires` is from now."""
        seconds = None if expires is None else int(expires.total_seconds())
        return of(
            MadeToken, self._post("/v1/tokens", _said(role=role, agent=agent, expires=seconds))
        )

    def remove_token(self, token: int) -> None:
        self.wire.ask("DELETE", f"/v1/tokens/{token:d}")

    def _get(self, path: str, **query: object) -> Json:
        return self.wire.ask("GET", path, query=query)

    def _post(self, path: str, body: Json | None = None) -> Json:
        return self.wire.ask("POST", path, body=body or {})


def _said(**body: object) -> Json:
    """What is None is not said."""
    return {key: value for key, value in body.items() if value is not None}


def _part(text: str) -> str:
    """One part of a path, whatever it holds."""
    return quote(text, safe="")
