"""Settings: read once, typed, from the environment and from a file under it."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hive.settings.given import HOST_RUN, Given, read
from hive.settings.table import (
    CONFIG_FILE,
    GATED,
    SETTINGS,
    SIM_PARTS,
    Backend,
    ManagerSees,
    Setting,
)

__all__ = [
    "CONFIG_FILE", "GATED", "SETTINGS", "SIM_PARTS", "Asking", "Backend", "ManagerSees",
    "Setting", "Settings",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator chose for this host."""

    backend: Backend
    sim: frozenset[str]
    node: str
    state_dir: Path
    run_dir: Path
    database_url: str
    redis_url: str | None
    failure_limit: int
    log_limit: int
    """Bytes."""
    inbox_cap: int
    inbox_kept: int
    builds: int
    starts: int
    approval: frozenset[str]
    build_first: bool
    manager_sees: ManagerSees
    base_flake: str | None
    container_conf_dir: Path
    container_state_dir: Path
    profiles_dir: Path
    systemd_dir: Path
    gcroots_dir: Path
    proc_dir: Path
    agent_address: str | None
    nix_options: Mapping[str, str]
    nix_env: Mapping[str, str]
    git: str

    @property
    def is_sim(self) -> bool:
        return self.backend is Backend.SIM

    @property
    def is_embedded(self) -> bool:
        """The default database, in the state folder: it migrates itself."""
        return self.database_url == _embedded(self.state_dir)

    @property
    def sim_root(self) -> Path:
        return self.state_dir / "sim"

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, config: Path = CONFIG_FILE) -> Self:
        """Raises `Refused`, code `bad-setting`, naming the setting and what it may be."""
        given = Given(env, read(config))
        backend = given.backend()
        is_sim = backend is Backend.SIM
        state = given.state_dir()
        sim = state / "sim"
        parts = given.parts("HIVE_SIM")

        def place(name: str, real: str, pretend: str, part: str = "containers") -> Path:
            return given.path(name, sim / pretend if is_sim and part in parts else Path(real))

        return cls(
            backend=backend,
            sim=parts if is_sim else frozenset(),
            node=given.text("HIVE_NODE") or _hostname(),
            state_dir=state,
            run_dir=given.run_dir(),
            database_url=given.secret("HIVE_DATABASE_URL") or _embedded(state),
            redis_url=given.secret("HIVE_REDIS_URL"),
            failure_limit=given.number("HIVE_FAILURE_LIMIT", 5),
            log_limit=given.number("HIVE_LOG_LIMIT", 64) * 1_000_000,
            inbox_cap=given.number("HIVE_INBOX_CAP", 100_000),
            inbox_kept=given.number("HIVE_INBOX_KEPT", 10_000),
            builds=given.number("HIVE_BUILDS", 2),
            starts=given.number("HIVE_STARTS", 4),
            approval=given.kinds("HIVE_APPROVAL"),
            build_first=given.switch("HIVE_BUILD_FIRST", default=True),
            manager_sees=given.one_of("HIVE_MANAGER_SEES", ManagerSees, ManagerSees.ALL),
            base_flake=given.text("HIVE_BASE_FLAKE") or (_shipped_base() if is_sim else None),
            container_conf_dir=place(
                "HIVE_CONTAINER_CONF_DIR", "/etc/nixos-containers", "etc/nixos-containers"
            ),
            container_state_dir=place(
                "HIVE_CONTAINER_STATE_DIR", "/var/lib/nixos-containers", "var/containers"
            ),
            profiles_dir=place(
                "HIVE_PROFILES_DIR", "/nix/var/nix/profiles/per-container", "profiles"
            ),
            systemd_dir=place("HIVE_SYSTEMD_DIR", "/run/systemd/system", "systemd"),
            gcroots_dir=place("HIVE_GCROOTS_DIR", "/nix/var/nix/gcroots/hive", "gcroots", "nix"),
            proc_dir=sim / "proc" if is_sim and "containers" in parts else Path("/proc"),
            agent_address=given.text("HIVE_AGENT_ADDRESS"),
            nix_options=given.pairs("HIVE_NIX_OPTIONS"),
            nix_env=given.pairs("HIVE_NIX_ENV"),
            git=given.program("HYPERHIVE_GIT", "git"),
        )


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a command may ask: known without a look at what is for hive's own processes alone."""

    url: str | None
    token: str | None = field(repr=False)
    run_dirs: tuple[Path, ...]
    """In the first of these whose API answers, this host's hive is asked."""

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, config: Path = CONFIG_FILE) -> Self:
        """Raises `Refused`, code `bad-setting`.

        Who is not root has a hive of their own first, unless told otherwise, and then the host's.
        """
        given = Given(env, read(config))
        own = given.run_dir()
        is_told = given.text("HIVE_RUN_DIR") or given.text("HIVE_STATE_DIR")
        is_theirs = given.backend() is Backend.NIXOS and not is_told
        folders = (own, HOST_RUN) if is_theirs and own != HOST_RUN else (own,)
        return cls(given.text("HIVE_URL"), given.secret("HIVE_TOKEN"), folders)


def _hostname() -> str:
    """As a node can be called: what a hostname may hold beyond that becomes a dash."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", platform.node())[:63].strip("-._") or "localhost"


def _embedded(state: Path) -> str:
    return f"sqlite:///{state / 'hive.sqlite'}"


def _shipped_base() -> str:
    return f"path:{Path(__file__).parents[1].resolve() / 'sim' / 'base'}"
