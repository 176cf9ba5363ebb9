"""What `hive doctor` says of this machine: each finding is a look, and no look changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hive.adapters import idmap, machine
from hive.adapters.files import outside
from hive.adapters.systemd import Systemd
from hive.domain.fullness import Fullness
from hive.errors import HiveError, ProgramMissing
from hive.service import building
from hive.service.finding import Finding, Look, Said, Subject, Verdict
from hive.store.session import Database
from hive.store.trouble import named

GIT_AT_LEAST: Final = (2, 32)  #: an older one cannot be kept from its user's configuration
NIX_AT_LEAST: Final = (2, 8)
KERNEL_AT_LEAST: Final = (5, 12)  #: the first with idmapped mounts
EACH: Final = 6  #: inotify instances of a container: some 20 containers use up the default 128
FEW: Final = 512
GIB: Final = 1 << 30
ASK_ROOT: Final = "run `hive doctor` as root, on the host itself"


def findings(subject: Subject) -> list[Finding]:
    """Everything that is looked at, in an order that stays; a look that fails is a finding too."""
    return [Finding(name, *_told(look, subject)) for name, look in LOOKS.items()]


def _told(look: Look, subject: Subject) -> Said:
    try:
        return look(subject)
    except HiveError as error:
        return Verdict.MISSING, error.message, error.hint or "run it by hand, and see what it says"
    except OSError as error:
        told = outside(error)
        return Verdict.MISSING, told.message, told.hint
    except Exception as bug:  # noqa: BLE001 - the other looks must still be told
        said = f"this look failed: {type(bug).__name__}: {bug}"
        return Verdict.MISSING, said, "a bug in hive; report it with this message"


def _backend(subject: Subject) -> Said:
    if not subject.pretended:
        return Verdict.OK, f"nixos: this host, as node {subject.node}", ""
    parts = " and ".join(sorted(subject.pretended))
    said = f"HIVE_BACKEND=sim PRETENDS {parts}, with stand-ins in {subject.state / 'sim'}"
    return Verdict.NOTE, said, "HIVE_BACKEND=nixos looks at this host itself"


def _git(subject: Subject) -> Said:
    said = subject.shell.run(subject.git, "--version", quiet=True).out
    version = said.strip().removeprefix("git version ")
    if _numbers(version) < GIT_AT_LEAST:
        return Verdict.MISSING, f"{version} is too old", "hive needs git 2.32 or newer"
    return Verdict.OK, version, ""


def _nix(subject: Subject) -> Said:
    if "nix" in subject.pretended:
        return _stand_in("nix")
    try:
        version = subject.nix.version()
    except ProgramMissing as missing:
        at = subject.nix_off_the_path()
        hint = missing.hint if at is None else f"add {at} to the PATH of the service"
        return Verdict.MISSING, missing.message, hint
    hint = "hive needs nix 2.8 or newer, with flakes"
    if _numbers(version) < NIX_AT_LEAST:
        return Verdict.MISSING, f"{version} is too old", hint
    if not subject.nix.has_flakes():
        return Verdict.MISSING, f"{version}, and flakes cannot be had", hint
    return Verdict.OK, f"{version}, with flakes", ""


def _nixos_container(subject: Subject) -> Said:
    if not subject.is_real:
        return _stand_in("nixos-container")
    found = subject.shell.find("nixos-container")
    if found:
        return Verdict.OK, f"{found}", ""
    hint = "run hive on NixOS, or set HIVE_BACKEND=sim for a pretend host in a folder"
    return Verdict.MISSING, "there is no nixos-container on the PATH", hint


def _systemd(subject: Subject) -> Said:
    if not subject.is_real:
        return _stand_in("systemctl")
    if Systemd(subject.shell).answers():
        return Verdict.OK, "it answers", ""
    return Verdict.MISSING, "systemctl gets no answer", "run hive on a host that systemd has booted"


def _kernel(subject: Subject) -> Said:
    release = subject.kernel()
    if _numbers(release) >= KERNEL_AT_LEAST:
        return Verdict.OK, release, ""
    said = f"{release} has no idmapped mounts"
    return _needed_by_containers(subject, said, "boot Linux 5.12 or newer")


def _idmap_of(setting: str, root: Callable[[Subject], Path]) -> Look:
    """A container's user namespace needs them for what hive binds into it from this root."""

    def look(subject: Subject) -> Said:
        at = machine.nearest(root(subject))
        match subject.idmapped(at):
            case idmap.Works():
                return Verdict.OK, f"{at} can be mounted with mapped ids", ""
            case idmap.Untried(because):
                hint = ASK_ROOT if subject.is_real else ""
                return Verdict.NOTE, f"not tried on {at}: {because}", hint
            case idmap.Refuses(because):
                said = f"{at} cannot be mounted with mapped ids: {because}"
                hint = f"set {setting} to a folder on ext4, xfs or btrfs"
                return _needed_by_containers(subject, said, hint)

    return look


def _disk_of(root: Callable[[Subject], Path], hint: str) -> Look:
    def look(subject: Subject) -> Said:
        at = root(subject)
        disk = subject.disk(at)
        said = f"{at}: {disk.percent} % used, {disk.free / GIB:.1f} GiB free"
        match Fullness.of(disk.percent):
            case Fullness.CRITICAL:
                return Verdict.MISSING, f"{said}: critical", hint
            case Fullness.WARNING:
                return Verdict.WARN, said, hint
            case Fullness.OK:
                return Verdict.OK, said, ""

    return look


def _inotify(subject: Subject) -> Said:
    limit = subject.inotify_instances()
    if limit is None:
        return Verdict.NOTE, "this kernel does not say fs.inotify.max_user_instances", ""
    said = f"fs.inotify.max_user_instances is {limit}: enough for about {limit // EACH} containers"
    if limit >= FEW:
        return Verdict.OK, said, ""
    hint = "raise it: sysctl fs.inotify.max_user_instances=8192"
    return (Verdict.WARN, said, hint) if subject.is_real else _only_containers(said)


def _database(subject: Subject) -> Said:
    seen = subject.schema(subject.database)
    said = _named(subject.database)
    if seen.is_newer:
        said = f"{said} has schema {seen.current}; this hive knows {seen.head} and older"
        return Verdict.MISSING, said, "upgrade hive, or restore a backup of that time"
    if seen.is_current:
        return Verdict.OK, f"{said}, schema {seen.current}", ""
    if not subject.migrates_itself:
        said = f"{said} has no tables of this hive yet, or older ones"
        return Verdict.MISSING, said, "hive db upgrade"
    return _made_at_first_use(subject, said)


def _made_at_first_use(subject: Subject, said: str) -> Said:
    path = subject.database.path
    if path is not None and not subject.can_write(path):
        hint = "run as the user that owns it, or set HIVE_STATE_DIR"
        return Verdict.MISSING, f"{said} cannot be written", hint
    return Verdict.OK, f"{said}: the next command makes or migrates it", ""


def _redis(subject: Subject) -> Said:
    if subject.redis_url is None:
        return Verdict.NOTE, "HIVE_REDIS_URL is not set: jobs are rung in process", ""
    subject.reach(subject.redis_url)
    return Verdict.OK, "it answers", ""


def _stand_in(program: str) -> Said:
    return Verdict.OK, f"PRETENDED: the sim's stand-in for {program}", ""


def _needed_by_containers(subject: Subject, said: str, hint: str) -> Said:
    return (Verdict.MISSING, said, hint) if subject.is_real else _only_containers(said)


def _only_containers(said: str) -> Said:
    return Verdict.NOTE, f"{said}; only real containers need it", ""


def _named(database: Database) -> str:
    name = named(database.engine.url)
    return f"SQLite {name}" if database.dialect == "sqlite" else name


def _numbers(version: str) -> tuple[int, ...]:
    """The first two; nothing that begins with a number is older than all."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else ()


LOOKS: Final[Mapping[str, Look]] = {
    "backend": _backend,
    "git": _git,
    "nix": _nix,
    **building.LOOKS,
    "nixos-container": _nixos_container,
    "systemd": _systemd,
    "kernel": _kernel,
    "idmap-state": _idmap_of("HIVE_STATE_DIR", lambda subject: subject.state),
    "idmap-run": _idmap_of("HIVE_RUN_DIR", lambda subject: subject.run),
    "disk-store": _disk_of(lambda subject: subject.store, "nix-collect-garbage, or a larger disk"),
    "disk-state": _disk_of(lambda subject: subject.state, "free some space, or a larger disk"),
    "inotify": _inotify,
    "database": _database,
    "redis": _redis,
}
