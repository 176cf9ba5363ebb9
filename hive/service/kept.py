"""What is kept of agents that are not there any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hive.domain.agent import Desired
from hive.domain.names import AgentName
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.service.ground import looked_at
from hive.service.views import instant
from hive.store import agents


@dataclass(frozen=True, slots=True)
class KeptView:
    name: AgentName
    bytes: int
    """Of its folders; what is behind a link is not counted."""
    since: datetime
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
        home, applied = world.files.measured(layout.home(name), layout.applied(name))
        has_login = bool(world.agents().entries(f"{name}/claude"))
        size, since = home.size + applied.size, max(home.changed_at, applied.changed_at)
        views.append(KeptView(name, size, since, has_login))
    return views
