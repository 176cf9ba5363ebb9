"""Settings: read once, typed, from the environment and from a file under it."""

from __future__ import annotations

import os
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from hive.errors import Refused

CONFIG_FILE: Final = Path("/etc/hyperhive/hive.toml")
GATED: Final = frozenset({"spawn", "apply"})
"""What can be made to wait for an operator."""
SIM_PARTS: Final = frozenset({"nix", "containers"})


class Backend(StrEnum):
    NIXOS = "nixos"  #: this host
    SIM = "sim"  #: a pretend host in a folder


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of `docs/settings.md`."""

    name: str
    default: str
    what: str

    @property
    def key(self) -> str:
        """Its name in `hive.toml`."""
        return self.name.removeprefix("HIVE_").removeprefix("HYPERHIVE_").lower()


SETTINGS: Final = (
    Setting(
        "HIVE_BACKEND", "nixos", "`nixos`: this host. `sim`: a pretend host in the state folder."
    ),
    Setting("HIVE_SIM", "nix,containers", "With the sim: which programs are stand-ins."),
    Setting("HIVE_NODE", "the hostname", "This host's name in a fleet."),
    Setting(
        "HIVE_STATE_DIR",
        "`/var/lib/hyperhive` for root with the nixos backend, else `~/.local/state/hive`",
        "Agents, applied repos, meta, the embedded database.",
    ),
    Setting(
        "HIVE_RUN_DIR",
        "`/run/hyperhive` for root with the nixos backend, else `<state>/run`",
        "Locks, sockets, what is bound at `/run/hive`.",
    ),
    Setting(
        "HIVE_DATABASE_URL",
        "`sqlite:///<state>/hive.sqlite`",
        "SQLite or PostgreSQL, as an SQLAlchemy URL.",
    ),
    Setting(
        "HIVE_DATABASE_URL_FILE",
        "none",
        "A file whose one line is the database's URL, in place of `HIVE_DATABASE_URL`: what others"
        " must not read stays out of the environment.",
    ),
    Setting("HIVE_REDIS_URL", "none", "The broker; without one, jobs are rung in process."),
    Setting(
        "HIVE_REDIS_URL_FILE",
        "none",
        "A file whose one line is the broker's URL, in place of `HIVE_REDIS_URL`.",
    ),
    Setting(
        "HIVE_FAILURE_LIMIT",
        "5",
        "How often a job may fail for a passing reason before it ends `failed`; 1: never again.",
    ),
    Setting(
        "HIVE_LOG_LIMIT",
        "64",
        "Megabytes of a job's log that are kept: its head and its tail, half each.",
    ),
    Setting(
        "HIVE_INBOX_CAP",
        "100000",
        "How many messages of a recipient may wait to be acknowledged; a sender beyond is refused.",
    ),
    Setting(
        "HIVE_INBOX_KEPT",
        "10000",
        "How many acknowledged messages of a recipient are kept, for 30 days at most.",
    ),
    Setting("HIVE_BUILDS", "2", "How many closures are built at once on this host."),
    Setting("HIVE_STARTS", "4", "How many containers are started at once on this host."),
    Setting(
        "HIVE_APPROVAL",
        "spawn,apply",
        "What waits for an operator when it is proposed, or asked for by the manager; `none`:"
        " nothing does.",
    ),
    Setting(
        "HIVE_BUILD_FIRST",
        "yes",
        "Whether a proposal is built before it waits for approval.",
    ),
    Setting(
        "HIVE_BASE_FLAKE",
        "with the sim: the shipped one; else none",
        "The flake that gives `nixosConfigurations.agent-base` and `.manager`.",
    ),
    Setting("HIVE_CONTAINER_CONF_DIR", "`/etc/nixos-containers`", "The containers' confs."),
    Setting("HIVE_CONTAINER_STATE_DIR", "`/var/lib/nixos-containers`", "The containers' roots."),
    Setting(
        "HIVE_PROFILES_DIR",
        "`/nix/var/nix/profiles/per-container`",
        "What each container boots next.",
    ),
    Setting("HIVE_SYSTEMD_DIR", "`/run/systemd/system`", "Where drop-ins with limits are written."),
    Setting("HIVE_GCROOTS_DIR", "`/nix/var/nix/gcroots/hive`", "What the collector must keep."),
    Setting(
        "HIVE_AGENT_ADDRESS",
        "`127.0.0.1`; the sim has its own, 127.a.b.c by hash of its folder",
        "Where agents' web ports answer.",
    ),
    Setting("HIVE_NIX_OPTIONS", "none", "`key=value;key=value`, handed to nix as `--option`."),
    Setting("HIVE_NIX_ENV", "none", "`NAME=value;NAME=value`, added to nix's environment."),
    Setting("HYPERHIVE_GIT", "`git` on the PATH", "The git to run, absolute."),
)
"""Every setting. In `hive.toml` the key is the name without its prefix, in lower case."""


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
        given = _Given(env, _read(config))
        backend = given.one_of("HIVE_BACKEND", Backend, Backend.NIXOS)
        is_sim = backend is Backend.SIM
        as_root = os.geteuid() == 0 and not is_sim
        state = given.path("HIVE_STATE_DIR", _HOST_STATE if as_root else _user_state(env))
        sim = state / "sim"
        parts = given.parts("HIVE_SIM")

        def place(name: str, real: str, pretend: str, part: str = "containers") -> Path:
            return given.path(name, sim / pretend if is_sim and part in parts else Path(real))

        return cls(
            backend=backend,
            sim=parts if is_sim else frozenset(),
            node=given.text("HIVE_NODE") or _hostname(),
            state_dir=state,
            run_dir=given.path("HIVE_RUN_DIR", _HOST_RUN if as_root else state / "run"),
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


_HOST_STATE: Final = Path("/var/lib/hyperhive")
_HOST_RUN: Final = Path("/run/hyperhive")


def _user_state(env: Mapping[str, str]) -> Path:
    """By XDG's rules, of which one is that a relative folder does not count."""
    folder = Path(env.get("XDG_STATE_HOME", ""))
    home = Path(env.get("HOME") or "/root")
    return (folder if folder.is_absolute() else home / ".local/state") / "hive"


def _hostname() -> str:
    """As a node can be called: what a hostname may hold beyond that becomes a dash."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", platform.node())[:63].strip("-._") or "localhost"


def _embedded(state: Path) -> str:
    return f"sqlite:///{state / 'hive.sqlite'}"


def _shipped_base() -> str:
    return f"path:{Path(__file__).parent.resolve() / 'sim' / 'base'}"


def _read(config: Path) -> Mapping[str, Any]:
    """The file's keys; a missing file has none, an unknown key is refused."""
    try:
        found = tomllib.loads(config.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _bad(str(config), f"cannot be read: {error}") from None
    unknown = sorted(set(found) - {setting.key for setting in SETTINGS})
    if unknown:
        raise _bad(str(config), f"has a key that is no setting: {unknown[0]}")
    return found


@dataclass(frozen=True, slots=True)
class _Given:
    """The environment, and the file under it."""

    env: Mapping[str, str]
    config: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        value = self._said(name)
        if value is None or isinstance(value, str):
            return value
        raise _bad(name, "must be a string")

    def secret(self, name: str) -> str | None:
        """Said as it is, or by a file that holds it: `NAME_FILE`. The environment's one wins."""
        file = f"{name}_FILE"
        for place in (replace(self, config={}), replace(self, env={})):
            if place.text(name) and place.text(file):
                raise _bad(file, f"and {name} are both set: one of them is enough")
            if value := place.text(name) or place._read(file):
                return value
        return None

    def _read(self, name: str) -> str | None:
        """The one line of the file that `name` says. Of what is in it no error tells anything."""
        if self.text(name) is None:
            return None
        path = self.path(name, Path())
        try:
            value = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            because = error.strerror if isinstance(error, OSError) else "it is no text"
            raise _bad(name, f"cannot be read: {path}: {because}") from None
        if not value or len(value.splitlines()) > 1:
            raise _bad(name, f"must name a file of one line, and {path} is not")
        return value

    def _said(self, name: str) -> Any:  # noqa: ANN401 - what TOML can carry
        """None where nothing, or nothing but emptiness, is said."""
        key = next(setting.key for setting in SETTINGS if setting.name == name)
        value = self.env.get(name) or self.config.get(key)
        return None if value == "" else value

    def path(self, name: str, default: Path) -> Path:
        value = Path(self.text(name) or default)
        if not value.is_absolute() or "\0" in str(value):
            raise _bad(name, f"must be an absolute path, not {str(value)!r}")
        return value

    def program(self, name: str, default: str) -> str:
        return str(self.path(name, Path(default))) if self.text(name) else default

    def number(self, name: str, default: int) -> int:
        """Written as a number or as a string, as the environment can only give the latter."""
        value = self._said(name)
        if value is None:
            return default
        if isinstance(value, bool) or not re.fullmatch(r"[1-9][0-9]{0,5}", str(value)):
            raise _bad(name, f"must be a whole number from 1 on, not {value!r}")
        return int(value)

    def switch(self, name: str, *, default: bool) -> bool:
        value = self.text(name)
        if value not in ("yes", "no", None):
            raise _bad(name, f"must be yes or no, not {value!r}")
        return default if value is None else value == "yes"

    def kinds(self, name: str) -> frozenset[str]:
        value = self.text(name)
        found = frozenset(part.strip() for part in (value or "").split(",")) if value else GATED
        if value == "none":
            return frozenset()
        if not found <= GATED:
            raise _bad(name, f"must be none, or some of {','.join(sorted(GATED))}, not {value!r}")
        return found

    def one_of(self, name: str, kind: type[Backend], default: Backend) -> Backend:
        value = self.text(name)
        try:
            return kind(value) if value else default
        except ValueError:
            allowed = ", ".join(kind)
            raise _bad(name, f"must be one of {allowed}, not {value!r}") from None

    def parts(self, name: str) -> frozenset[str]:
        value = self.text(name)
        parts = frozenset(part.strip() for part in value.split(",")) if value else SIM_PARTS
        if not parts <= SIM_PARTS:
            raise _bad(name, f"must be a subset of {','.join(sorted(SIM_PARTS))}, not {value!r}")
        return parts

    def pairs(self, name: str) -> Mapping[str, str]:
        pairs = [pair for pair in (self.text(name) or "").split(";") if pair.strip()]
        if not all(pair.partition("=")[0].strip() and "=" in pair for pair in pairs):
            raise _bad(name, "must be key=value;key=value")
        return {k.strip(): v.strip() for k, _, v in (pair.partition("=") for pair in pairs)}


def _bad(name: str, because: str) -> Refused:
    return Refused(f"{name} {because}", code="bad-setting", hint="see docs/settings.md")
