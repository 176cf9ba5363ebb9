"""The only place where parts are chosen and put together."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from hive.adapters import machine
from hive.adapters.clock import SystemClock
from hive.adapters.containers import Containers
from hive.adapters.files import Files, told
from hive.adapters.git import Git
from hive.adapters.halt import Halt, HaltingClock
from hive.adapters.held import Held
from hive.adapters.http import Http
from hive.adapters.locks import Locks
from hive.adapters.looks import Looks
from hive.adapters.machine import this_process
from hive.adapters.nix import Nix
from hive.adapters.shell import LocalShell, Tell
from hive.adapters.systemd import Systemd, Unit
from hive.adapters.world import World
from hive.domain.agent import AgentSettings, Health
from hive.domain.approval import Policy
from hive.domain.layout import Layout
from hive.domain.names import ContainerName, NodeName
from hive.queue.bell import Bell, Silence
from hive.queue.clock import DatabaseClock
from hive.queue.host import Host
from hive.queue.recipes import Recipes
from hive.service.finding import Subject
from hive.settings import ManagerSees, Settings
from hive.sim.install import folder, install
from hive.sim.places import address_of
from hive.store import migrate
from hive.store.session import Database, open_database

PASSED_ON = (
    "PATH", "HOME", "TZ", "NIX_REMOTE", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
DAEMON = Path("/nix/var/nix/daemon-socket/socket")


def build(settings: Settings, env: Mapping[str, str]) -> Host:
    """A host that is ready to be asked: the embedded default has migrated itself."""
    database = open_database(settings.database_url)
    if settings.is_embedded:
        migrate.upgrade(database)
    else:
        migrate.check(database)
    return host(settings, env, database)


def host(settings: Settings, env: Mapping[str, str], database: Database) -> Host:
    layout = layout_of(settings)
    environment = listed(settings, env)
    clock = SystemClock() if database.path else DatabaseClock(database, SystemClock())
    files, node = Files(), NodeName(settings.node)
    address = settings.agent_address or _address(settings)
    stage, held = _Stage(settings), Held()
    looks = Looks[ContainerName, Unit]()

    def world(tell: Tell, locks: Locks, halt: Halt) -> World:
        stage.set_up()
        shell = LocalShell(environment, tell, locks, halt)
        halting = HaltingClock(halt, clock)
        return World(
            layout=layout,
            files=files,
            git=Git(shell, settings.git, halt.check, held),
            nix=Nix(shell, settings.nix_options, settings.nix_env),
            containers=Containers(shell, files, layout, settings.nix_env),
            systemd=Systemd(shell, halting, looks),
            http=Http(),
            shell=shell,
            clock=halting,
            locks=locks,
            address=address,
            base=settings.base_flake,
            builds=settings.builds,
            starts=settings.starts,
            seals="containers" not in settings.sim,
        )

    policy = Policy(settings.approval, settings.build_first)
    defaults = AgentSettings(health=Health.PORT if settings.is_sim else Health.UNIT)

    return Host(
        node=node,
        layout=layout,
        database=database,
        clock=clock,
        process=this_process(node),
        version=version("hive"),
        defaults=defaults,
        failure_limit=settings.failure_limit,
        log_limit=settings.log_limit,
        inbox_cap=settings.inbox_cap,
        inbox_kept=settings.inbox_kept,
        policy=policy,
        disks=(settings.state_dir, store_of(settings)),
        bell=_bell(settings),
        recipe=Recipes(database, clock, policy, defaults, settings.inbox_kept).of,
        world=world,
    )


def _bell(settings: Settings) -> Bell:
    """Without a broker nobody hears it: workers look at the database themselves."""
    if settings.redis_url is None:
        return Silence()
    from hive.queue.dispatch import RedisBell

    return RedisBell(settings.redis_url)


def examined(settings: Settings, env: Mapping[str, str]) -> Subject:
    """What `hive doctor` looks at. Nothing is made, migrated or installed for it.

    Nix is asked away from its store and its home: it would make both where they are not.
    """
    shell = LocalShell(listed(settings, env))
    nowhere = {"NIX_REMOTE": "dummy://", "HOME": "/nonexistent"}
    home = Path(shell.environment["HOME"])
    http = Http()
    return Subject(
        node=NodeName(settings.node),
        shell=shell,
        git=settings.git,
        nix=Nix(shell, settings.nix_options, {**settings.nix_env, **nowhere}),
        pretended=settings.sim,
        state=settings.state_dir,
        run=settings.run_dir,
        store=store_of(settings),
        database=open_database(settings.database_url),
        migrates_itself=settings.is_embedded,
        redis_url=settings.redis_url,
        # Its settings are also in its user's home, and to read them makes nothing.
        config=Nix(shell, settings.nix_options, settings.nix_env).config,
        has_daemon=shell.environment.get("NIX_REMOTE") == "daemon",
        base_flake=settings.base_flake,
        has_ssh_command="GIT_SSH_COMMAND" in env,
        ssh_keys=lambda: machine.ssh_keys(home),
        nix_off_the_path=lambda: machine.nix_off_the_path(home),
        refuses=lambda url: http.refusal(f"{url.rstrip('/')}/nix-cache-info"),
    )


def store_of(settings: Settings) -> Path:
    """Where closures lie."""
    if "nix" in settings.sim:
        return settings.sim_root / "store"
    return Path(settings.nix_env.get("NIX_STORE_DIR", "/nix/store"))


def layout_of(settings: Settings) -> Layout:
    return Layout(
        state=settings.state_dir,
        run=settings.run_dir,
        conf_dir=settings.container_conf_dir,
        container_state=settings.container_state_dir,
        profiles=settings.profiles_dir,
        systemd=settings.systemd_dir,
        gcroots=settings.gcroots_dir,
        proc=settings.proc_dir,
        shows_homes=settings.manager_sees is ManagerSees.ALL,
    )


def listed(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """What every program of hive's gets of the environment, and nothing else.

    As root beside a daemon, nix would open the store itself, and builders would run in the worker's
    own unit: `NIX_REMOTE` sends them to the daemon.
    """
    passed = {key: env[key] for key in PASSED_ON if key in env}
    passed.setdefault("PATH", os.defpath)
    passed.setdefault("HOME", str(settings.state_dir))
    passed["LANG"] = "C.UTF-8"
    if "nix" not in settings.sim and DAEMON.exists():
        passed.setdefault("NIX_REMOTE", "daemon")
    return passed | _pretence(settings, passed["PATH"]) if settings.is_sim else passed


def _pretence(settings: Settings, path: str) -> dict[str, str]:
    """The stand-ins come first on the PATH, and know where the pretend host lies."""
    return {
        "PATH": f"{settings.sim_root / 'bin'}{os.pathsep}{path}",
        "HIVE_SIM_ROOT": str(settings.sim_root),
        "HIVE_CONTAINER_CONF_DIR": str(settings.container_conf_dir),
        "HIVE_CONTAINER_STATE_DIR": str(settings.container_state_dir),
        "HIVE_PROFILES_DIR": str(settings.profiles_dir),
        "HIVE_SYSTEMD_DIR": str(settings.systemd_dir),
        "HIVE_GCROOTS_DIR": str(settings.gcroots_dir),
        "HIVE_AGENT_ADDRESS": settings.agent_address or _address(settings),
    }


@dataclass(slots=True)
class _Stage:
    """The pretend host's programs: put up once, and again where somebody has been at them."""

    settings: Settings
    _programs: Path = field(init=False)
    _was: int | None = None
    """When the folder was last changed, as we left it."""
    _change: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._programs = self.settings.sim_root / "bin"

    def set_up(self) -> None:
        settings = self.settings
        if not settings.is_sim:
            return
        with self._change:  # two threads of a worker may be the first
            if self._was is not None and self._was == self._changed_at():
                return
            with told():
                install(folder(), settings.sim_root, sys.executable, settings.sim)
            self._was = self._changed_at()

    def _changed_at(self) -> int | None:
        with suppress(OSError):
            return self._programs.stat().st_mtime_ns
        return None


def _address(settings: Settings) -> str:
    if not settings.is_sim:
        return "127.0.0.1"
    return address_of(settings.sim_root)
