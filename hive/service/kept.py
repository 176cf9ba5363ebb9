"""What is kept of agents that are not there any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hive.domain.agent import Desired
from hive.domain.instant import instant
from hive.domain.names import AgentName
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.service.ground import looked_at
from hive.store import agents


@dataclass(frozen=True, slots=True)
class KeptView:
    name: AgentName
    bytes: int | None
    """Of its files; what is behind a link is not counted. None where they cannot be counted."""
    since: datetime | None
    """When something of it was changed last."""
    has_login: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bytes": self.bytes,
            "since": instant(self.since),
            "login": self.has_login,
        }


def kept(host: Host) -> list[KeptView]:
    """Folders of agents that were destroyed, or that the database does not know, by name."""
    refuse_elsewhere(host, host.node, "this looks at a host")
    world = looked_at(host)
    with host.database.read() as session:
        rows = agents.listed(session, host.node)
    live = {row.name for row in rows if row.desired is not Desired.DESTROYED}
    layout = world.layout
    names = {*world.files.entries(layout.agents), *world.files.entries(layout.applied_root)}
    found = (AgentName(name) for name in names if AgentName.pattern.fullmatch(name))
    views = []
    for name in sorted(set(found) - live):
        folders = {layout.home(name), layout.shown / name, layout.applied(name)}
        seen = world.files.measured(*folders)
        found_all = [one for one in seen if one is not None]
        has_login = bool(world.agents().entries(f"{name}/claude"))
        size = sum(one.size for one in found_all) if len(found_all) == len(seen) else None
        since = max((one.changed_at for one in found_all), default=None)
        views.append(KeptView(name, size, since, has_login))
    return views
