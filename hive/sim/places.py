"""Where a pretend host keeps its things, and the loopback address that is its own."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class NoRoot(Exception):
    """A stand-in was started, and nothing says in which folder its host lies."""


class Places:
    """The folders of one pretend host: hive's settings where they are set, else under the root.

    Not a dataclass, and strings instead of paths: both cost more than the rest of a start.
    """

    __slots__ = (
        "conf_dir", "container_state", "gcroots", "journal", "libexec", "proc", "profiles", "root",
        "store", "systemd", "tmp", "units",
    )  # fmt: skip

    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        self.root = os.path.realpath(root)
        self.conf_dir = environment.get("HIVE_CONTAINER_CONF_DIR") or self._at(
            "etc/nixos-containers"
        )
        self.container_state = environment.get("HIVE_CONTAINER_STATE_DIR") or self._at(
            "var/containers"
        )
        self.profiles = environment.get("HIVE_PROFILES_DIR") or self._at("profiles")
        self.systemd = environment.get("HIVE_SYSTEMD_DIR") or self._at("systemd")
        self.gcroots = environment.get("HIVE_GCROOTS_DIR") or self._at("gcroots")
        self.proc, self.store = self._at("proc"), self._at("store")
        self.units, self.journal = self._at("units"), self._at("journal")
        self.tmp, self.libexec = self._at("tmp"), self._at("libexec")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Places:
        known = os.environ if environment is None else environment
        root = known.get("HIVE_SIM_ROOT")
        if not root:
            raise NoRoot(
                "HIVE_SIM_ROOT is not set: a stand-in needs the folder of its pretend host"
            )
        return cls(root, known)

    def _at(self, below: str) -> str:
        return os.path.join(self.root, below)

    def conf(self, container: str) -> str:
        return os.path.join(self.conf_dir, f"{container}.conf")

    def container_root(self, container: str) -> str:
        return os.path.join(self.container_state, container)

    def profile(self, container: str) -> str:
        return os.path.join(self.profiles, container, "system")

    def drop_ins(self, container: str) -> str:
        return os.path.join(self.systemd, f"container@{container}.service.d")

    def unit(self, container: str) -> str:
        return os.path.join(self.units, container)

    def process(self, pid: int) -> str:
        return os.path.join(self.proc, str(pid))

    def journal_of(self, container: str) -> str:
        return os.path.join(self.journal, f"{container}.log")

    @property
    def init(self) -> str:
        """What `$HIVE_SIM_INIT` names: the program that answers for a container."""
        return os.path.join(self.libexec, "hive-sim-init")


def address_of(root: str | os.PathLike[str]) -> str:
    """The loopback address of the pretend host in `root`: no two folders of a machine meet."""
    import sys

    if sys.platform != "linux":
        return "127.0.0.1"  # the others bind only this one without being asked
    import hashlib

    first, second, third, *_ = hashlib.sha256(os.path.realpath(root).encode()).digest()
    return f"127.{first % 254 + 1}.{second}.{third % 254 + 1}"
