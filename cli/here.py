"""hive asked in its database, by a process that may work on its own jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

from cli.hive import EVERY, PAGE
from hive.client import answers
from hive.domain.authority import Role
from hive.domain.job import ENDED, JobId, JobState
from hive.domain.message import OPERATOR
from hive.domain.names import AgentName, NodeName
from hive.domain.schedule import CatchUp, Cron, ScheduleName, Verb
from hive.queue.host import Host
from hive.service import (
    adoption,
    agents,
    approvals,
    asking,
    diffs,
    fleet,
    inbox,
    jobs,
    kept,
    lifecycle,
    plans,
    schedules,
    status,
    sweeps,
    tokens,
)
from hive.service.asking import Wish, node_of
from hive.service.inbox import message_as_json
from hive.service.jobs import line_as_json
from hive.service.lifecycle import Asked

FEW: Final = 50
"""Jobs of a page that is not said how long to be, as the API has it."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Here:
    """This host's hive, for whoever may read and write its database and folders."""

    host: Host
    by: str
    """Who asks."""

    @property
    def node(self) -> str:
        return self.host.node

    def status(self) -> answers.Status:
        return cast(answers.Status, status.status(self.host).as_json())

    # Agents

    def agents(self) -> answers.Page[answers.Agent]:
        return _page(answers.Agent, (view.as_json() for view in agents.listed(self.host)))

    def agent(self, name: str) -> answers.Agent:
        return cast(answers.Agent, agents.show(self.host, AgentName(name)).as_json())

    def set_agent(self, name: str, *settings: str, node: str | None = None) -> answers.ChangedAgent:
        checked, where = AgentName(name), node_of(node)
        asked = Asked(self.by, None, where)
        submitted = lifecycle.change(self.host, checked, asked, list(settings))
        shown = agents.show(self.host, checked, where).as_json()
        limit = self.job(submitted.job.id) if submitted else None
        return cast(answers.ChangedAgent, {**shown, "limit": limit})

    def kept(self) -> answers.Page[answers.Kept]:
        return _page(answers.Kept, (view.as_json() for view in kept.kept(self.host)))

    # Jobs

    def jobs(
        self,
        *,
        state: JobState | None = None,
        agent: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> answers.Page[answers.Job]:
        name, before = _agent(agent), JobId(int(cursor)) if cursor else None
        many = limit or FEW
        found = jobs.listed(
            self.host, state=state, agent=name, kind=kind, before=before, limit=many
        )
        following = str(found[-1].job.id) if len(found) == many else None
        return _page(answers.Job, (view.as_json() for view in found), following)

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
    ) -> answers.Submitted:
        wish = Wish(kind, _agent(agent), rev, message, restart, JobId(to) if to else None)
        submitted = asking.submit(self.host, wish, Asked(self.by, key, node_of(node)))
        shown = jobs.accepted(self.host, submitted).as_json()
        return cast(answers.Submitted, {**shown, "new": submitted.is_new})

    def rebuild_all(
        self, *, node: str | None = None, restart: str | None = None
    ) -> answers.Page[answers.Job]:
        return self._many(Wish("rebuild", restart=restart), node)

    def sweep_all(self) -> answers.Page[answers.Job]:
        return self._many(Wish("reconcile", all_nodes=True), None)

    def job(self, job: int) -> answers.Job:
        return cast(answers.Job, jobs.show(self.host, JobId(job)).as_json())

    def children(self, job: int) -> answers.Page[answers.Job]:
        return _page(answers.Job, (view.as_json() for view in jobs.children(self.host, JobId(job))))

    def see_through(self, job: int) -> None:
        jobs.run(self.host, JobId(job))

    def cancel(self, job: int) -> answers.Job:
        return self.job(jobs.cancel(self.host, JobId(job)).id)

    def retry(self, job: int) -> answers.Job:
        return self.job(agents.retry(self.host, JobId(job)).id)

    def pending(self) -> answers.Page[answers.Job]:
        return _page(answers.Job, (view.as_json() for view in approvals.pending(self.host)))

    def diff(self, job: int) -> answers.Diff:
        return cast(answers.Diff, diffs.of(self.host, JobId(job)).as_json())

    def approve(self, job: int, *, expected: str | None = None) -> answers.Job:
        return self.job(approvals.approve(self.host, JobId(job), by=self.by, expect=expected).id)

    def deny(self, job: int, *, note: str = "") -> answers.Job:
        return self.job(approvals.deny(self.host, JobId(job), note=note).id)

    def withdraw(self, job: int) -> answers.Job:
        return self.job(approvals.withdraw(self.host, JobId(job)).id)

    def plan(
        self,
        verb: str,
        *,
        agent: str | None = None,
        rev: str | None = None,
        to: int | None = None,
        node: str | None = None,
    ) -> answers.Page[answers.PlannedStep]:
        wish = Wish(verb, _agent(agent), rev, to=JobId(to) if to else None)
        found = asking.planned(self.host, wish, node=node_of(node))
        return _page(answers.PlannedStep, (plans.step_as_json(*one) for one in found))

    def plan_adoption(self) -> answers.Page[answers.PlannedStep]:
        """What moving in would find and do; only on the host itself."""
        found = adoption.planned(self.host)
        return _page(answers.PlannedStep, (plans.step_as_json(*one) for one in found))

    def plan_sweep(self, *, node: str | None = None) -> answers.Sweep:
        return cast(answers.Sweep, sweeps.planned(self.host, node=node_of(node)).as_json())

    # Logs and events

    def logs(self, job: int, *, after: int | None = None) -> answers.Page[answers.Line]:
        found = jobs.lines(self.host, JobId(job), after=after or 0, limit=PAGE)
        following = str(found[-1].seq) if len(found) == PAGE else None
        return _page(answers.Line, map(line_as_json, found), following)

    def follow_logs(self, job: int, *, after: int = 0) -> Iterator[answers.Line]:
        """Looked at before its lines are, so that those of one that has ended are all."""
        while True:
            is_over = JobState(self.job(job)["state"]) in ENDED
            while lines := self.logs(job, after=after)["items"]:
                after = lines[-1]["seq"]
                yield from lines
            if is_over:
                return
            self.host.clock.sleep(EVERY)

    def events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> answers.Page[answers.Event]:
        found = fleet.happened(
            self.host, after=after, kind=kind, limit=PAGE,
            job=JobId(job) if job else None, agent=_agent(agent),
        )  # fmt: skip
        following = str(found[-1].seq) if len(found) == PAGE else None
        return _page(answers.Event, (event.as_json() for event in found), following)

    def follow_events(
        self,
        *,
        after: int | None = None,
        kind: str | None = None,
        agent: str | None = None,
        job: int | None = None,
    ) -> Iterator[answers.Event]:
        after = fleet.newest(self.host) if after is None else after
        while True:
            found = self.events(after=after, kind=kind, agent=agent, job=job)["items"]
            yield from found
            after = found[-1]["seq"] if found else after
            if not found:
                self.host.clock.sleep(EVERY)

    # Messages

    def inbox(
        self,
        recipient: str,
        *,
        acked: bool = False,
        limit: int | None = None,
        node: str | None = None,
    ) -> answers.Page[answers.Message]:
        of = inbox.of(self.host, recipient, node_of(node))
        found = inbox.look(self.host, of, acked=acked, limit=limit or PAGE)
        return _page(answers.Message, map(message_as_json, found))

    def waiting(self, recipient: str, *, node: str | None = None) -> answers.Waiting:
        of = inbox.of(self.host, recipient, node_of(node))
        return {"waiting": inbox.count(self.host, of)}

    def take(
        self, recipient: str, *, limit: int | None = None, node: str | None = None
    ) -> answers.Page[answers.Message]:
        of = inbox.of(self.host, recipient, node_of(node))
        found = inbox.take(self.host, of, limit=limit or PAGE)
        return _page(answers.Message, map(message_as_json, found))

    def send(
        self,
        to: str,
        text: str,
        *,
        reply_to: int | None = None,
        node: str | None = None,
        key: str | None = None,
    ) -> answers.Message:
        sent = inbox.send(
            self.host, to, text, sender=OPERATOR, node=node_of(node), reply_to=reply_to, key=key
        )
        return cast(answers.Message, message_as_json(sent))

    def ack(self, ids: Collection[int]) -> answers.Acknowledged:
        return {"acked": inbox.ack(self.host, ids)}

    # Schedules

    def schedules(self) -> answers.Page[answers.Schedule]:
        return _page(answers.Schedule, (view.as_json() for view in schedules.listed(self.host)))

    def add_schedule(
        self, name: str, cron: str, verb: str, *, zone: str = "UTC", catch_up: str = "last"
    ) -> answers.AddedSchedule:
        line, wanted = Cron.of(cron, zone), ScheduleName(name)
        _, is_new = schedules.add(self.host, wanted, line, Verb(verb), CatchUp(catch_up))
        return cast(answers.AddedSchedule, {**self._schedule(name), "new": is_new})

    def remove_schedule(self, name: str) -> None:
        schedules.remove(self.host, ScheduleName(name))

    def enable_schedule(self, name: str) -> answers.Schedule:
        schedules.set_enabled(self.host, ScheduleName(name), enabled=True)
        return self._schedule(name)

    def disable_schedule(self, name: str) -> answers.Schedule:
        schedules.set_enabled(self.host, ScheduleName(name), enabled=False)
        return self._schedule(name)

    def run_schedule(self, name: str) -> answers.Page[answers.Job]:
        made = schedules.run(self.host, ScheduleName(name), by=self.by)
        return self._shown(job.id for job in made)

    # The fleet, and tokens

    def workers(self) -> answers.Page[answers.Worker]:
        return _page(answers.Worker, (view.as_json() for view in fleet.listed(self.host)))

    def nodes(self) -> answers.Page[answers.Node]:
        return _page(answers.Node, (view.as_json() for view in fleet.nodes(self.host)))

    def pause(self, node: str) -> None:
        fleet.pause(self.host, NodeName(node), by=self.by)

    def resume(self, node: str) -> None:
        fleet.resume(self.host, NodeName(node))

    def tokens(self) -> answers.Page[answers.Token]:
        return _page(answers.Token, (view.as_json() for view in tokens.listed(self.host)))

    def add_token(
        self, role: str, *, agent: str | None = None, expires: timedelta | None = None
    ) -> answers.MadeToken:
        view, said = tokens.create(
            self.host, Role(role), by=self.by, agent=_agent(agent), expires=expires
        )
        return cast(answers.MadeToken, {**view.as_json(), "token": said})

    def remove_token(self, token: int) -> None:
        tokens.revoke(self.host, token)

    def _many(self, wish: Wish, node: str | None) -> answers.Page[answers.Job]:
        made = asking.submit_many(self.host, wish, Asked(self.by, None, node_of(node)))
        return self._shown(job.id for job in made)

    def _shown(self, found: Iterable[JobId]) -> answers.Page[answers.Job]:
        return _page(answers.Job, (view.as_json() for view in jobs.shown(self.host, list(found))))

    def _schedule(self, name: str) -> answers.Schedule:
        found = self.schedules()["items"]
        return next(one for one in found if one["name"] == name)


def _agent(name: str | None) -> AgentName | None:
    return None if name is None else AgentName(name)


def _page(
    _: type[T], items: Iterable[dict[str, Any]], following: str | None = None
) -> answers.Page[T]:
    return {"items": cast(list[T], list(items)), "next": following}
