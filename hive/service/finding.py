"""What a look of `hive doctor` is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hive.adapters import idmap, machine, sandbox
from hive.adapters.idmap import IdMapping
from hive.adapters.machine import Disk
from hive.adapters.nix import Nix
from hive.adapters.nixconfig import NixConfig
from hive.adapters.shell import Shell
from hive.domain.names import NodeName
from hive.queue import broker
from hive.store import migrate
from hive.store.migrate import SchemaState
from hive.store.session import Database


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"  #: worth knowing; nothing is wrong
    WARN = "warn"  #: it works, and will not for ever
    MISSING = "missing"  #: hive needs it; somebody must act


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. The name and the verdict are stable, the words are for people."""

    name: str
    verdict: Verdict
    message: str
    hint: str = ""


Said = tuple[Verdict, str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at; bootstrap puts it together."""

    node: NodeName
    shell: Shell
    git: str
    nix: Nix
    pretended: frozenset[str]
    """What the sim stands in for, of `nix` and `containers`; empty on a real host."""
    state: Path
    run: Path
    store: Path
    database: Database
    migrates_itself: bool
    redis_url: str | None
    config: Callable[[], NixConfig]
    """Of the nix that builds here."""
    has_daemon: bool
    base_flake: str | None
    has_ssh_command: bool
    """`GIT_SSH_COMMAND` is set."""
    ssh_keys: Callable[[], list[Path]]
    nix_off_the_path: Callable[[], Path | None]
    refuses: Callable[[str], str | None]
    """What is in the way of a binary cache."""
    sandbox_refusal: Callable[[], str | None] = sandbox.refusal
    emulates: Callable[[str], bool] = machine.emulates
    idmapped: Callable[[Path], IdMapping] = idmap.idmapped
    disk: Callable[[Path], Disk] = machine.disk
    can_write: Callable[[Path], bool] = machine.can_write
    kernel: Callable[[], str] = machine.kernel
    inotify_instances: Callable[[], int | None] = machine.inotify_instances
    schema: Callable[[Database], SchemaState] = migrate.state
    reach: Callable[[str], None] = broker.reach

    @property
    def is_real(self) -> bool:
        """Its containers are real ones."""
        return "containers" not in self.pretended


Look = Callable[[Subject], Said]
