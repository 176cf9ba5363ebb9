"""Where things lie on a host: every path that hive looks at or writes, and nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.domain.names import AgentName, ContainerName

HOST_SOCKET: Final = "host.sock"
"""In the runtime folder: where the API of this host listens."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one host. Contracts: hyperhive's, so that a host can move over in place."""

    state: Path
    run: Path
    conf_dir: Path
    container_state: Path
    profiles: Path
    systemd: Path
    gcroots: Path
    proc: Path
    shows_homes: bool = True
    """The manager's container has agents' homes, and not their proposed repos alone."""

    @property
    def agents(self) -> Path:
        return self.state / "agents"

    @property
    def applied_root(self) -> Path:
        return self.state / "applied"

    @property
    def meta(self) -> Path:
        return self.state / "meta"

    @property
    def wanted_base(self) -> Path:
        """The base that update-base pinned last."""
        return self.state / "base.json"

    @property
    def scratch(self) -> Path:
        """Things in the making; same file system as the state, so that a rename is atomic."""
        return self.state / "scratch"

    def fetched(self, agent: AgentName) -> Path:
        """A nix store of its own, private: what is fetched to make a lock gets no further."""
        return self.state / "fetched" / agent

    @property
    def notified(self) -> Path:
        """A mark for each event that a notifier was called for."""
        return self.state / "notified"

    @property
    def locks(self) -> Path:
        return self.run / "locks"

    @property
    def meta_lock(self) -> Path:
        return self.locks / "meta"

    @property
    def host_socket(self) -> Path:
        return self.run / HOST_SOCKET

    @property
    def api_lock(self) -> Path:
        """Held by the process that serves this host's sockets."""
        return self.locks / "api"

    @property
    def sockets(self) -> Path:
        """Private: sockets are made here, and renamed to where they are asked at."""
        return self.run / "sockets"

    def socket(self, agent: AgentName) -> Path:
        """At `/run/hive/hive.sock` inside: who can open it is this agent, or the manager."""
        return self.runtime(agent) / "hive.sock"

    def slot(self, what: str, number: int) -> Path:
        """Held by one of those that may build, or start, at once."""
        return self.locks / f"{what}-{number}"

    def home(self, agent: AgentName) -> Path:
        return self.agents / agent

    @property
    def shown(self) -> Path:
        """What the manager's container has at `/agents`, and where proposed repos lie for that."""
        return self.agents if self.shows_homes else self.state / "configs"

    @property
    def hidden(self) -> Path:
        """Where proposed repos lay while the manager was shown something else."""
        return self.state / "configs" if self.shows_homes else self.agents

    def proposed(self, agent: AgentName) -> Path:
        """Written by the manager: hostile ground."""
        return self.shown / agent / "config"

    def applied(self, agent: AgentName) -> Path:
        """Written by hive alone, under the agent's lock."""
        return self.applied_root / agent

    def runtime(self, agent: AgentName) -> Path:
        return self.run / "agents" / agent

    def lock(self, lock: str) -> Path:
        """The file of a job's lock.

        `agent:<node>/<name>`, `base:<node>`, `reconcile:<node>`, `notify:<node>/<name>`.
        """
        kind, _, of = lock.partition(":")
        return self.locks / "-".join((kind, *of.split("/")[1:]))

    def agent_lock(self, agent: AgentName) -> Path:
        return self.locks / f"agent-{agent}"

    def gcroot(self, agent: AgentName, key: str) -> Path:
        return self.gcroots / agent / key

    def conf(self, container: ContainerName) -> Path:
        return self.conf_dir / f"{container}.conf"

    def root(self, container: ContainerName) -> Path:
        return self.container_state / container

    def profile(self, container: ContainerName) -> Path:
        return self.profiles / container / "system"

    def drop_in(self, container: ContainerName) -> Path:
        return self.systemd / f"{container.unit}.d" / "hyperhive-limits.conf"
