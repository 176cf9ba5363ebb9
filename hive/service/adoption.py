"""Moving in: a tree that is there already is looked over, and taken over by one job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hive.adapters.world import World
from hive.domain.agent import AgentSettings, Desired
from hive.domain.job import NewJob
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.errors import Refused
from hive.jobs import catalog
from hive.jobs.adopt import Adopt
from hive.queue import submit
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service import plans
from hive.service.ground import looked_at, number_above_tags, written_to
from hive.service.lifecycle import LOOKS, Asked
from hive.service.plans import Planned
from hive.steps.adopted import meta_found
from hive.steps.daemon import OldDaemonGone
from hive.steps.step import Differs
from hive.store import agents


@dataclass(frozen=True, slots=True)
class Tree:
    """Whom the folders of a host tell of."""

    agents: tuple[AgentName, ...]
    kept: tuple[AgentName, ...]

    def as_ask(self, settings: AgentSettings) -> dict[str, Any]:
        return {
            "agents": list(self.agents), "kept": list(self.kept), "settings": settings.as_json()
        }  # fmt: skip


def adopt(host: Host, asked: Asked) -> Submitted:
    """Refused before anything is accepted, where the old daemon runs or the tree is unclear."""
    refuse_elsewhere(host, asked.at(host), LOOKS)
    looked = looked_at(host)
    daemon = OldDaemonGone()
    if isinstance(daemon.check(looked), Differs):
        daemon.apply(looked)
    found = _tree(host, looked)
    number_above_tags(host, written_to(host))
    new = NewJob(
        kind=Adopt.kind,
        node=host.node,
        agent=None,
        ask=found.as_ask(host.defaults),
        lock=catalog.base_lock(host.node),
        requested_by=asked.by,
        unique_key=catalog.unique_key(Adopt.kind, host.node, None, {}),
        idempotency_key=asked.key,
    )
    return submit.submit(host, new)


def planned(host: Host) -> Planned:
    found = _tree(host, looked_at(host))
    recipe = Adopt(host.node, plans.UNGIVEN, found.agents, found.kept, host.defaults)
    return plans.of(host, recipe)


def _tree(host: Host, world: World) -> Tree:
    """Raises `Refused`, code `foreign-meta`, `port-taken`."""
    found = meta_found(world)
    ours = tuple(block.agent for block in found.meta.blocks) if found else ()
    folders = world.files.entries(world.layout.applied_root)
    named = (AgentName(name) for name in folders if AgentName.pattern.fullmatch(name))
    kept = tuple(name for name in named if name not in ours)
    for name in kept:
        if world.containers.conf(name.container) is not None:
            raise Refused(
                f"{name.container} is there, and the meta flake pins no {name}",
                code="foreign-meta",
                hint=f"let the old daemon sync it, or: nixos-container destroy {name.container}",
            )
    _refuse_ports(host, ours)
    return Tree(ours, tuple(name for name in kept if world.git.is_repo(world.layout.applied(name))))


def _refuse_ports(host: Host, ours: tuple[AgentName, ...]) -> None:
    with host.database.read() as session:
        rows = agents.listed(session, host.node)
    known = [row.name for row in rows if row.desired is not Desired.DESTROYED]
    taken: dict[int, AgentName] = {}
    for name in dict.fromkeys((*known, *ours)):
        other = taken.setdefault(port_of(name), name)
        if other != name:
            raise Refused(
                f"port {port_of(name)} is wanted by '{other}' and '{name}'",
                code="port-taken",
                hint="destroy one of them, and spawn it under another name",
            )
