"""Small looks at this machine: its disks, its kernel, the kernel's limits, this process."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.adapters.processes import start_of
from hive.domain.names import NodeName
from hive.domain.worker import Process

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE: Final = Path("/proc/self/ns/pid")
BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
NIX_FOLDERS: Final = (
    Path("/nix/var/nix/profiles/default/bin"),
    Path("/run/current-system/sw/bin"),
)
INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_instances")


@dataclass(frozen=True, slots=True)
class Disk:
    """How full a file system is; `percent` as `df` counts it, rounded up."""

    percent: int
    free: int
    """Bytes that this user may still write."""


def nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there and may be seen."""
    for at in (path, *path.parents):
        with suppress(OSError):
            at.stat()
            return at
    return Path("/")


def disk(path: Path) -> Disk:
    """Of what `path`, or the nearest folder above it, lies on."""
    found = os.statvfs(nearest(path))
    used = found.f_blocks - found.f_bfree
    of = used + found.f_bavail
    return Disk(-(-100 * used // of) if of else 0, found.f_bavail * found.f_frsize)


def can_write(path: Path) -> bool:
    """Whether this user may write it, or make it in the nearest folder above it."""
    return os.access(nearest(path), os.W_OK)


def kernel() -> str:
    """Such as `6.18.44`."""
    return platform.release()


def inotify_instances() -> int | None:
    """How many each user may have; None where the kernel does not say."""
    try:
        return int(INOTIFY.read_text())
    except (OSError, ValueError):
        return None


def emulates(processor: str) -> bool:
    """Whether the kernel hands its programs to an emulator: as Debian names it, or NixOS."""
    names = (f"qemu-{processor}", f"{processor}-linux")
    return any(_read(BINFMT / name).startswith("enabled") for name in names)


def ssh_keys(home: Path) -> list[Path]:
    """The private ones that ssh tries by itself."""
    found = (home / ".ssh" / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
    return [path for path in found if path.exists()]


def nix_off_the_path(home: Path) -> Path | None:
    """The folder of a nix that is installed where installers put it."""
    found = (folder for folder in (*NIX_FOLDERS, home / ".nix-profile/bin"))
    return next((folder for folder in found if os.access(folder / "nix", os.X_OK)), None)


def this_process(node: NodeName) -> Process:
    """As other processes, of this host or of another, can tell it from every other one."""
    pid = os.getpid()
    return Process(node, pid, start_of(pid) or "", _read(BOOT), _linked(NAMESPACE))


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""


def _linked(path: Path) -> str:
    with suppress(OSError):
        return str(path.readlink())
    return ""
