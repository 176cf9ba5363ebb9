"""Every setting, as `docs/settings.md` and `hive.toml` know it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

CONFIG_FILE: Final = Path("/etc/hyperhive/hive.toml")
GATED: Final = frozenset({"spawn", "apply"})
"""What can be made to wait for an operator."""
SIM_PARTS: Final = frozenset({"nix", "containers"})


class Backend(StrEnum):
    NIXOS = "nixos"  #: this host
    SIM = "sim"  #: a pretend host in a folder


class ManagerSees(StrEnum):
    ALL = "all"  #: homes of agents: repo, login, notes
    CONFIG = "config"  #: repos alone


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
    Setting(
        "HIVE_URL",
        "none",
        "Where another hive's API listens: commands ask there, and nothing of this host.",
    ),
    Setting("HIVE_TOKEN", "none", "Who one is there: `hive token create` made it."),
    Setting("HIVE_TOKEN_FILE", "none", "A file that holds the token, and nothing else."),
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
        "HIVE_MANAGER_SEES",
        "all",
        "`all`: the manager's container has every agent's repo, login and notes at `/agents`."
        " `config`: the repos alone. `hive rebuild --all` applies it.",
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
