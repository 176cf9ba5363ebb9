"""A pretend nspawn: the main process of a running container, and how it comes to be.

It is forked from the `systemctl` that starts the unit, leaves that one's session, descriptors and
folder behind, and executes `<system>/init` as its child, the leader. Like systemd's own job, it
goes on when that `systemctl` is killed, so it is the one that writes down how far the start came.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from hive.sim import conf as confs
from hive.sim import journal, processes
from hive.sim.files import link_beside, write_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.places import Places

START_WITHIN = 60.0
HANDED_ON = ("PATH", "LANG", "TZ", "HIVE_AGENT_ADDRESS")


class Started:
    """A start under way; `wait` blocks until the container is ready, or has ended instead."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def wait(self) -> bool:
        try:
            readable, _, _ = select.select([self._pipe], [], [], START_WITHIN + 5)
            return bool(readable) and os.read(self._pipe, 1) == b"R"
        finally:
            os.close(self._pipe)


def launch(places: Places, container: str, conf: dict[str, str], system: str) -> Started:
    """Forks twice, so that nobody here waits for the container's end."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        try:
            detach(places, container, keep=tell)
            Supervisor(places, container, conf, system).play(tell)
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    return Started(told)


def detach(places: Places, container: str, *, keep: int) -> None:
    """No folder, pipe, terminal or lock of the caller's is held any longer; 1 is the journal."""
    os.chdir("/")
    journal.note(places, container, f"Starting container@{container}.service...")
    into = os.open(places.journal_of(container), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (into, 1), (into, 2)):
        os.dup2(source, target)
    close_all_but(keep)


def close_all_but(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(max(keep + 1, 3), min(os.sysconf("SC_OPEN_MAX"), 65536))


def _tell(pipe: int) -> None:
    """Whoever waits for the start may have been killed: that does not end the container."""
    try:
        os.write(pipe, b"R")
    except BrokenPipeError:
        pass
    finally:
        os.close(pipe)


class Supervisor:
    def __init__(self, places: Places, container: str, conf: dict[str, str], system: str) -> None:
        self.places, self.container, self.conf, self.system = places, container, conf, system
        self.leader = 0
        self.told_to_leave = False
        pid = os.getpid()
        self.run: dict[str, Any] = {
            "main": pid, "main_since": processes.started(pid), "system": system,
            "leader": 0, "leader_since": "", "ready": None,
        }  # fmt: skip

    def play(self, tell: int) -> None:
        signal.signal(signal.SIGTERM, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ready = self._boot()
        if self._is_ready(ready):
            self._write(ready=time.time())
            journal.note(
                self.places, self.container, f"Started container@{self.container}.service."
            )
            _tell(tell)
            self._write(end=self._wait())
        else:
            self._give_up()

    def _boot(self) -> int:
        """The leader is running; what it says when it is ready is read from here."""
        self._write()
        ready, say_ready = os.pipe()
        os.set_inheritable(say_ready, True)
        self.leader = os.fork()
        if self.leader == 0:
            self._become_leader(say_ready)
        os.close(say_ready)
        main = self.places.process(self.run["main"])
        self._put(os.path.join(main, "environ"), self._environ())
        self._put(os.path.join(main, "task", str(self.run["main"]), "children"), f"{self.leader} ")
        self._write(leader=self.leader, leader_since=processes.started(self.leader) or "")
        if self.told_to_leave:
            os.kill(self.leader, signal.SIGTERM)
        return ready

    def _become_leader(self, say_ready: int) -> None:
        try:
            mine = self.places.process(os.getpid())
            self._put(os.path.join(mine, "uid_map"), confs.uid_map(self.container, self.conf))
            self._put(os.path.join(mine, "environ"), self._environ())
            link_beside(
                os.path.join(mine, "root/run/current-system"), self.system, tmp=self.places.tmp
            )
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            init = os.path.join(self.system, "init")
            os.execve(init, [init], self._environment(say_ready))  # noqa: S606 - argv, no shell
        except OSError as error:
            journal.note(
                self.places, self.container, f"Failed to execute init: {error}", by="nspawn"
            )
        finally:
            os._exit(203)

    def _environment(self, say_ready: int) -> dict[str, str]:
        ours = {
            "HIVE_SIM_ROOT": self.places.root,
            "HIVE_SIM_INIT": self.places.init,
            "HIVE_SIM_CONTAINER": self.container,
            "HIVE_SIM_CONTAINER_ROOT": self.places.container_root(self.container),
            "HIVE_SIM_READY": str(say_ready),
            "container": "systemd-nspawn",
        }
        return {key: os.environ[key] for key in HANDED_ON if key in os.environ} | ours

    def _environ(self) -> str:
        unit = {"INSTANCE": self.container, "PATH": os.environ.get("PATH", "")} | self.conf
        return "".join(f"{key}={value}\0" for key, value in unit.items())

    def _is_ready(self, ready: int) -> bool:
        readable, _, _ = select.select([ready], [], [], START_WITHIN)
        said = os.read(ready, 64) if readable else None
        os.close(ready)
        self.timed_out = said is None
        return bool(said)

    def _give_up(self) -> None:
        """Told to the file first, to the waiting `systemctl` by our end."""
        if self.timed_out:
            os.kill(self.leader, signal.SIGKILL)
            os.waitpid(self.leader, 0)
            self._write(end=("timeout", 1))
        else:
            kind, status = self._wait()
            self._write(end=(kind, status or 1))

    def _wait(self) -> tuple[str, int]:
        _, status = os.waitpid(self.leader, 0)
        code = os.waitstatus_to_exitcode(status)
        if self.told_to_leave:
            return "exit-code", 0
        return ("signal", -code) if code < 0 else ("exit-code", code)

    def _leave(self, *_: object) -> None:
        self.told_to_leave = True
        if self.leader:
            try:
                os.kill(self.leader, signal.SIGTERM)
            except ProcessLookupError:
                return

    def _write(self, **changes: object) -> None:
        """Nothing is written for a host that was wiped: that would make its folder again."""
        self.run |= changes
        folder = self.places.unit(self.container)
        if os.path.isdir(folder):
            write_beside(
                os.path.join(folder, "run.json"), json.dumps(self.run), tmp=self.places.tmp
            )

    def _put(self, path: str, text: str) -> None:
        write_beside(path, text, tmp=self.places.tmp)
