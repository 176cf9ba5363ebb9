"""What a face may ask to be done with an agent: each is one job, accepted or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from hive.adapters.git import MAIN
from hive.domain.agent import LIMITING, Agent, AgentSettings, Desired
from hive.domain.approval import Seen
from hive.domain.job import Job, JobId, JobState, NewJob
from hive.domain.meta import deploy_named
from hive.domain.names import AgentName, NodeName, Rev
from hive.domain.target import Recorded
from hive.errors import NotFound, Refused
from hive.jobs import catalog
from hive.jobs.apply import Apply, Rollback
from hive.jobs.destroy import Destroy, Purge
from hive.jobs.limit import Limit
from hive.jobs.power import Restart, Start, Stop
from hive.jobs.rebuild import Rebuild
from hive.queue import numbers, of_node, submit
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service.ground import looked_at, number_above_tags, written_to
from hive.steps.look import rev_of
from hive.steps.running import Restarts
from hive.store import agents, jobs, workers
from hive.store.session import Session

LOOKS = "this looks at a host"
WANTS: Mapping[str, Desired] = {
    Start.kind: Desired.RUNNING,
    Restart.kind: Desired.RUNNING,
    Stop.kind: Desired.STOPPED,
    Destroy.kind: Desired.DESTROYED,
    Purge.kind: Desired.DESTROYED,
}
"""What is wanted of an agent from the moment that one of these is accepted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and what comes with every request."""

    by: str
    key: str | None = None
    node: NodeName | None = None

    def at(self, host: Host) -> NodeName:
        return self.node or host.node


def start(host: Host, name: AgentName, asked: Asked) -> Submitted:
    return _submit(host, Start.kind, name, asked)


def stop(host: Host, name: AgentName, asked: Asked) -> Submitted:
    """Remembered: no sweep starts it again."""
    return _submit(host, Stop.kind, name, asked)


def restart(host: Host, name: AgentName, asked: Asked) -> Submitted:
    return _submit(host, Restart.kind, name, asked)


def rebuild(
    host: Host, name: AgentName, asked: Asked, *, restarts: Restarts = Restarts.AUTO
) -> Submitted:
    ask = {} if restarts is Restarts.AUTO else {"restart": restarts.value}
    return _submit(host, Rebuild.kind, name, asked, ask)


def rebuild_all(host: Host, asked: Asked, *, restarts: Restarts = Restarts.AUTO) -> list[Job]:
    """One job for each agent of the node that is not destroyed, by name."""
    with host.database.read() as session:
        found = agents.listed(session, asked.at(host))
    kept = [agent for agent in found if agent.desired is not Desired.DESTROYED]
    return [rebuild(host, agent.name, asked, restarts=restarts).job for agent in kept]


def destroy(host: Host, name: AgentName, asked: Asked) -> Submitted:
    """Its folders are kept."""
    if known_job := _answered(host, Destroy.kind, name, asked):
        return known_job
    agent = _row(host, name, asked.at(host))
    _refuse_manager(agent)
    if agent.desired is Desired.DESTROYED and not _is_going(host, agent):
        known(host, name, agent.node)
    return _submit(host, Destroy.kind, name, asked)


def purge(host: Host, name: AgentName, asked: Asked) -> Submitted:
    """Nothing is kept, also of an agent that was destroyed before."""
    if known_job := _answered(host, Purge.kind, name, asked):
        return known_job
    _refuse_manager(_row(host, name, asked.at(host)))
    return _submit(host, Purge.kind, name, asked)


def propose(
    host: Host,
    name: AgentName,
    rev: str,
    asked: Asked,
    *,
    message: str | None = None,
    approved: bool = False,
    restarts: Restarts = Restarts.AUTO,
) -> Submitted:
    """A commit of proposed, pinned now. It waits for an operator, or was asked for by one."""
    refuse_elsewhere(host, asked.at(host), LOOKS)
    known(host, name, host.node)
    world = written_to(host)
    ask: dict[str, Any] = {"rev": world.resolve(name, rev)}
    if message:
        ask["message"] = message
    if restarts is not Restarts.AUTO:
        ask["restart"] = restarts.value
    passes = approved or Apply.kind not in host.policy.waiting
    return _submit(host, Apply.kind, name, asked, ask, series=True, approves=passes)


def rollback(host: Host, name: AgentName, asked: Asked, *, to: JobId | None = None) -> Submitted:
    """To what an earlier job deployed; without one, to what was deployed before this."""
    refuse_elsewhere(host, asked.at(host), LOOKS)
    known_job = _answered(host, Rollback.kind, name, asked)
    if known_job and to in (None, known_job.job.ask["to"]):
        return known_job
    known(host, name, host.node)
    job, rev = earlier(host, name, to)
    before = rev_of(looked_at(host), Recorded(name))
    seen = Seen(rev, before, None, None).as_json()
    ask = {"rev": rev, "to": job}
    return _submit(host, Rollback.kind, name, asked, ask, approves=True, seen=seen)


def update_base(host: Host, asked: Asked) -> Submitted:
    """The base is looked at anew on the node, and each of its agents is rebuilt on it."""
    where = asked.at(host)
    if where == host.node:
        number_above_tags(host, written_to(host))
    return submit.submit(host, of_node.update_base(where, by=asked.by, key=asked.key))


def change(host: Host, name: AgentName, asked: Asked, settings: list[str]) -> Submitted | None:
    """Set `KEY=VALUE` of an agent. A job, where systemd can apply it at once; else None."""
    known(host, name, asked.at(host))
    keys = {one.partition("=")[0] for one in settings}

    def changed(before: AgentSettings) -> AgentSettings:
        return reduce(AgentSettings.with_one, settings, before)

    with host.database.write() as session:
        agents.change(session, asked.at(host), name, changed, now=host.clock.now())
    return _submit(host, Limit.kind, name, asked) if keys & LIMITING else None


def known(host: Host, name: AgentName, node: NodeName) -> Agent:
    """The agent's row. Raises `NotFound`, or `Refused` where it was destroyed."""
    return _alive(_row(host, name, node))


def deploys(host: Host, name: AgentName) -> list[tuple[JobId, Rev]]:
    """What was deployed of an agent, newest first: the job and the commit."""
    world = looked_at(host)
    main = world.git.ref(world.layout.meta, MAIN)
    subjects = world.git.subjects(world.layout.meta, main) if main else ()
    tags = world.git.refs(world.layout.applied(name), "refs/tags/deployed")
    named = (deploy_named(line) for line in subjects)
    found = dict.fromkeys(JobId(each[1]) for each in named if each and each[0] == name)
    return [(job, rev) for job in found if (rev := tags.get(f"refs/tags/deployed/{job}"))]


def earlier(host: Host, name: AgentName, to: JobId | None) -> tuple[JobId, Rev]:
    found = deploys(host, name)
    if to is None:
        earlier = [each for each in found if each[1] != found[0][1]]
    else:
        earlier = [each for each in found if each[0] == to]
    if not earlier:
        known_jobs = ", ".join(str(job) for job, _ in found) or "none"
        raise NotFound(
            f"{name} has no such deploy to go back to",
            code="no-such-deploy",
            hint=f"its deploys: {known_jobs}",
        )
    return earlier[0]


def _answered(host: Host, kind: str, name: AgentName, asked: Asked) -> Submitted | None:
    """The job of the requester's key, where what it did has changed what can be asked for now."""
    if asked.key is None:
        return None
    with host.database.read() as session:
        job = jobs.of_key(session, asked.key)
        if job is None or (job.kind, job.node, job.agent) != (kind, asked.at(host), name):
            return None
        return Submitted(job, is_new=False, node=workers.node(session, job.node))


def _row(host: Host, name: AgentName, node: NodeName) -> Agent:
    with host.database.read() as session:
        return _found(session, name, node)


def _found(session: Session, name: AgentName, node: NodeName) -> Agent:
    agent = agents.find(session, node, name)
    if agent is None:
        raise NotFound(f"there is no agent {name}", code="no-such-agent", hint="see `hive agents`")
    return agent


def _alive(agent: Agent) -> Agent:
    if agent.desired is Desired.DESTROYED:
        raise Refused(
            f"{agent.name} was destroyed",
            code="agent-destroyed",
            hint=f"`hive spawn {agent.name}` brings it back with what it kept",
        )
    return agent


def _is_going(host: Host, agent: Agent) -> bool:
    """A destroy of it is under way, or has left something: to ask for it again is the same."""
    with host.database.read() as session:
        live = jobs.live_of(session, agent.node, agent.name)
    if any(job.kind in catalog.ENDING for job in live):
        return True
    is_here = agent.node == host.node
    return is_here and looked_at(host).containers.conf(agent.name.container) is not None


def _refuse_manager(agent: Agent) -> None:
    if agent.name.is_manager:
        raise Refused(
            "the manager cannot be destroyed",
            code="manager-stays",
            hint=f"`hive stop {agent.name}` stops it, and no sweep starts it again",
        )


def _submit(
    host: Host,
    kind: str,
    name: AgentName,
    asked: Asked,
    ask: Mapping[str, Any] | None = None,
    *,
    series: bool = False,
    approves: bool = False,
    seen: Mapping[str, Any] | None = None,
) -> Submitted:
    """What there is of the agent is looked up in the transaction that writes the job."""
    node, said, now = asked.at(host), dict(ask or {}), host.clock.now()
    world = written_to(host) if node == host.node else None
    tag = numbers.highest_tag(world, name) if world else JobId(0)

    def new(session: Session) -> NewJob:
        agent = _found(session, name, node)
        if kind not in catalog.ENDING:
            _alive(agent)
        if world is not None:
            numbers.above_tag(session, world, tag)
        submit.acts_on(session, agent, WANTS.get(kind), now=now)
        return NewJob(
            kind=kind,
            node=node,
            agent=name,
            ask=said,
            lock=catalog.lock_of(node, name),
            requested_by=asked.by,
            unique_key=catalog.unique_key(kind, node, name, said, agent.settings),
            idempotency_key=asked.key,
            series=f"{kind}:{node}/{name}" if series else None,
            priority=catalog.priority_of(kind),
            approved_at=now if approves else None,
            approved_by=asked.by if approves else None,
            seen=seen or ({"was": agent.desired.value} if kind in catalog.ENDING else None),
        )

    return submit.submit(host, new)


def is_unapproved(job: Job) -> bool:
    """It will wait, or does: nobody has said yes yet."""
    return job.kind == Apply.kind and job.approved_by is None and job.state is JobState.WAITING
