"""What a face may ask about agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hive.adapters.containers import Leader
from hive.adapters.git import MAIN
from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import Job, JobId, NewJob
from hive.domain.message import HIVE, OPERATOR
from hive.domain.meta import deploy_named
from hive.domain.names import AgentName, NodeName
from hive.domain.ports import port_of
from hive.errors import NotFound, Refused
from hive.jobs.catalog import ENDING, lock_of
from hive.jobs.spawn import Spawn
from hive.queue import submit
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service import lifecycle, plans
from hive.service.ground import looked_at, number_above_tags, written_to
from hive.service.lifecycle import LOOKS
from hive.service.plans import Planned
from hive.service.views import AgentView, DeployedView
from hive.steps.base import base_flake
from hive.steps.look import meta_at
from hive.store import agents, jobs


def spawn(
    host: Host,
    name: AgentName,
    *,
    requested_by: str,
    key: str | None = None,
    node: NodeName | None = None,
    gated: bool = False,
) -> Submitted:
    """Accept a spawn. Refused before anything is written down.

    For another node it is only written down: what stands in its way there, its job will say.
    `gated`: it waits for an operator, unless the policy lets it pass.
    """
    _refuse_reserved(name)
    where = node or host.node
    agent = _wanted(host, name, where)
    if where == host.node:
        world = written_to(host)
        _refuse_early(world, agent)
        number_above_tags(host, world, name)
    new = NewJob(
        kind=Spawn.kind,
        node=where,
        agent=name,
        ask={"gate": True} if gated and Spawn.kind in host.policy.waiting else {},
        lock=lock_of(where, name),
        requested_by=requested_by,
        unique_key=f"{Spawn.kind}:{where}/{name}",
        idempotency_key=key,
    )
    return submit.submit(host, new, agent)


def retry(host: Host, job_id: JobId) -> Job:
    """Queue a failed or cancelled job again; the same number, the next attempt."""
    with host.database.read() as session:
        job = jobs.find(session, job_id)
    if job.kind != Spawn.kind or job.agent is None:
        if job.agent is not None and job.kind not in ENDING:
            lifecycle.known(host, job.agent, job.node)
        return submit.retry(host, job_id, desired=lifecycle.WANTS.get(job.kind))
    agent = _wanted(host, job.agent, job.node)
    if job.node == host.node:
        _refuse_early(written_to(host), agent)
    return submit.retry(host, job_id, agent)


def plan_spawn(host: Host, name: AgentName, *, node: NodeName | None = None) -> Planned:
    """What a spawn would find right now, step by step; nothing is touched."""
    _refuse_reserved(name)
    refuse_elsewhere(host, node or host.node, LOOKS)
    return plans.of(host, Spawn(_wanted(host, name, host.node), plans.UNGIVEN))


def listed(host: Host) -> list[AgentView]:
    """Every agent that is not destroyed, by name, and whatever this host has without a row."""
    views = _views(host)
    return [view for view in views if view.desired is not Desired.DESTROYED or view.running]


def show(host: Host, name: AgentName, node: NodeName | None = None) -> AgentView:
    """Of this node, or of `node`; else of whichever has one of that name."""
    alike = [view for view in _views(host) if view.name == name and node in (None, view.node)]
    found = next((view for view in alike if view.node == host.node), next(iter(alike), None))
    if found is None:
        raise NotFound(f"there is no agent {name}", code="no-such-agent", hint="see `hive agents`")
    return found


def _wanted(host: Host, name: AgentName, node: NodeName) -> Agent:
    """The agent as a spawn leaves its row: its own settings where it has some."""
    with host.database.read() as session:
        known = agents.find(session, node, name)
    settings = known.settings if known else host.defaults
    return Agent(node, name, port_of(name), Desired.RUNNING, settings)


def _refuse_reserved(name: AgentName) -> None:
    """Else a message to it, or from it, would be taken for another's."""
    if name in (OPERATOR, HIVE):
        raise Refused(
            f"no agent is called {name}: messages to and from it would be another's",
            code="reserved-name",
            hint="take another name",
        )


def _refuse_early(world: World, agent: Agent) -> None:
    """What no attempt can mend, before a job is accepted."""
    conf.owned(agent.name, world.layout, privileged=agent.settings.privileged)
    base_flake(world)
    for other in _folders(world):
        if other != agent.name and port_of(other) == agent.port:
            raise Refused(
                f"port {agent.port} is already taken by '{other}'",
                code="port-taken",
                hint="rename one of them and retry",
            )


def _folders(world: World) -> set[AgentName]:
    """Agents that have kept state here, known to the database or not."""
    layout = world.layout
    names = (*world.files.entries(layout.agents), *world.files.entries(layout.applied_root))
    return {AgentName(name) for name in names if AgentName.pattern.fullmatch(name)}


@dataclass(frozen=True, slots=True)
class _Seen:
    """This host at one moment, by a number of programs that does not grow with the agents."""

    world: World
    units: dict[AgentName, Unit]
    leaders: dict[AgentName, Leader | None]
    deployed: dict[AgentName, DeployedView]


def _views(host: Host) -> list[AgentView]:
    world = looked_at(host)
    with host.database.read() as session:
        rows = agents.listed(session)
        live = {(job.node, job.agent): job.id for job in jobs.live(session)}
    ours = on_host(host, world, rows)
    seen = _look(world, tuple(ours))
    here = [_view(row, live.get((row.node, row.name)), seen) for row in ours.values()]
    others = (row for row in rows if row.node != host.node)
    there = [_view(row, live.get((row.node, row.name)), None) for row in others]
    return sorted(here + there, key=lambda view: (view.node, view.name))


def on_host(host: Host, world: World, rows: Sequence[Agent]) -> dict[AgentName, Agent]:
    """The agents of this node: those of `rows`, and whatever this host has without a row."""
    ours = {row.name: row for row in rows if row.node == host.node}
    for name in _folders(world) | {container.agent for container in world.containers.names()}:
        if name is not None and name not in ours:
            ours[name] = _unknown(host, name)
    return ours


def _unknown(host: Host, name: AgentName) -> Agent:
    """What the database does not know of, and this host has something of: shown, never hidden."""
    return Agent(host.node, name, port_of(name), Desired.RUNNING, AgentSettings())


def _look(world: World, names: tuple[AgentName, ...]) -> _Seen:
    shown = world.systemd.units([name.container for name in names])
    units = {name: shown[name.container] for name in names}
    leaders = {
        name: world.containers.booted(unit.main_pid) if unit.is_active else None
        for name, unit in units.items()
    }
    return _Seen(world, units, leaders, _deployed(world))


def _deployed(world: World) -> dict[AgentName, DeployedView]:
    main = world.git.ref(world.layout.meta, MAIN)
    if main is None:
        return {}
    last: dict[str, JobId] = {}
    for subject in world.git.subjects(world.layout.meta, main):
        if named := deploy_named(subject):
            last.setdefault(named[0], JobId(named[1]))
    blocks = meta_at(world, main).blocks
    return {block.agent: DeployedView(last.get(block.agent), block.rev) for block in blocks}


def _view(row: Agent, job: JobId | None, seen: _Seen | None) -> AgentView:
    """`seen` is None for an agent of another node: its row is all that can be told."""
    unit = seen.units[row.name] if seen else None
    leader = seen.leaders[row.name] if seen else None
    return AgentView(
        name=row.name,
        node=row.node,
        container=row.name.container,
        port=row.port,
        url=f"http://{seen.world.address}:{row.port}/" if seen else None,
        desired=row.desired,
        running=unit.is_active if unit else None,
        state=unit.state if unit else "elsewhere",
        privileged=leader.is_privileged if leader else row.settings.privileged,
        system=leader.system if leader else None,
        deployed=seen.deployed.get(row.name) if seen else None,
        job=job,
        failed_at=row.failed_at,
        settings=row.settings,
    )
