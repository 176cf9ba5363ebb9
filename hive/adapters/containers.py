"""Containers: their confs, and what the running ones really run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from hive.adapters.files import Files
from hive.adapters.processes import age_of
from hive.adapters.shell import Shell
from hive.domain import conf
from hive.domain.conf import Conf
from hive.domain.layout import Layout
from hive.domain.names import ContainerName

LONG: Final = timedelta(minutes=10)
"""For what removes a whole root folder."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The init of a running container, seen from the host."""

    system: Path | None
    """What `/run/current-system` names inside."""
    started_with: Conf
    """The conf's keys in the environment of the unit's main process."""
    is_privileged: bool
    """Its uid map is the identity: container root is host root."""


@dataclass(frozen=True, slots=True)
class Containers:
    shell: Shell
    files: Files
    layout: Layout
    environment: Mapping[str, str] = field(default_factory=dict)
    """Nix's own, for `nixos-container` runs `nix-env`."""

    def can_be_here(self) -> bool:
        """Whether this host has `nixos-container`, or a stand-in for it."""
        return self.shell.find("nixos-container") is not None

    def names(self) -> tuple[ContainerName, ...]:
        """Of every conf, half-made ones included."""
        entries = self.files.entries(self.layout.conf_dir)
        names = (entry.removesuffix(".conf") for entry in entries if entry.endswith(".conf"))
        return tuple(ContainerName(n) for n in names if ContainerName.pattern.fullmatch(n))

    def conf(self, container: ContainerName) -> str | None:
        """The conf's text, or None where the container was never created."""
        return self.files.read(self.layout.conf(container))

    def create(self, container: ContainerName, system: Path) -> None:
        """Conf, root folder and profile. Not for what has a conf: that is never created again."""
        create = ("nixos-container", "create", container, "--system-path", system)
        self.shell.run(*create, env=self.environment)

    def define(self, container: ContainerName, text: str, wanted: Conf) -> None:
        """The conf has the wanted lines, and the others as they were; the root folder is there."""
        self.files.write(self.layout.conf(container), conf.rewritten(text, wanted))
        if not self.files.is_folder(self.layout.root(container)):
            self.files.make_folder(self.layout.root(container), mode=0o755)

    def age(self, main_pid: int | None) -> timedelta | None:
        """How long the unit's main process has run; None where it does not."""
        return age_of(main_pid) if main_pid is not None else None

    def destroy(self, container: ContainerName) -> None:
        """Conf, root folder and profile go, as far as it can: what it cannot remove it leaves."""
        self.shell.run("nixos-container", "destroy", container, env=self.environment, within=LONG)

    def booted(self, main_pid: int | None) -> Leader | None:
        """What runs under the unit's main process, by looking at `/proc` alone."""
        if main_pid is None:
            return None
        main = self.layout.proc / str(main_pid)
        children = (self.files.read(main / "task" / str(main_pid) / "children") or "").split()
        if not children:
            return None
        leader = self.layout.proc / children[0]
        environ = (self.files.read(main / "environ") or "").replace("\0", "\n")
        return Leader(
            system=self.files.link(leader / "root" / "run" / "current-system"),
            started_with=conf.read(environ),
            is_privileged=_is_identity(self.files.read(leader / "uid_map") or ""),
        )


def _is_identity(uid_map: str) -> bool:
    """Not known counts as privileged: what cannot be seen is not promised."""
    return not uid_map.strip() or uid_map.split()[:2] == ["0", "0"]
