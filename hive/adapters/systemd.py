"""systemd: what units are doing, from one `show` for all, and the few acts that hive needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from hive.adapters.clock import Clock, SystemClock
from hive.adapters.looks import Looks
from hive.adapters.shell import Shell
from hive.domain.agent import AgentSettings
from hive.domain.limits import Limits
from hive.domain.names import ContainerName
from hive.errors import CommandFailed, HiveError, Transient

START = timedelta(minutes=11)
"""hive's module raises `TimeoutStartSec` of `container@` to 10 minutes; this is just above."""

PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "Job",
    "InvocationID", "ExecMainStatus", "NeedDaemonReload",
    "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax", "MemoryCurrent", "CPUUsageNSec",
)  # fmt: skip
SAID = 20
"""Lines of a journal that tell why something failed."""
BY_SYSTEMD = ("container@", "Starting ", "Started ", "Stopping ", "Stopped ", "Failed to start ")
"""How lines begin that systemd itself writes there, which say no more than systemctl does."""
_RESULT = re.compile(r"Failed with result '([a-z-]+)'")
_STATUS = re.compile(r"Main process exited, code=[a-z]+, status=(\d+)")
WIDEST = 500
"""Letters of a line of a journal: an agent chooses what it says there."""
FRESH = 0.1
"""Seconds."""
UNCOUNTED = 2**64 - 1
"""How a systemd says of a counter that it has none; newer ones say `[not set]`."""
MOVING = frozenset({"activating", "deactivating", "reloading"})


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says of one unit. A failed or absent unit is an answer, not an error."""

    properties: dict[str, str]

    @property
    def state(self) -> str:
        return self.properties.get("ActiveState", "inactive")

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def is_moving(self) -> bool:
        """A job of systemd's own is under way: killing `systemctl` did not cancel it."""
        return self.state in MOVING or self.properties.get("Job", "0") not in ("", "0")

    @property
    def is_flapping(self) -> bool:
        """It failed, and systemd will start it again, and again: it does not settle."""
        return self.properties.get("SubState") == "auto-restart"

    @property
    def is_settling(self) -> bool:
        """It moves, and will come to rest: what it is then is not known yet."""
        return self.is_moving and not self.is_flapping

    @property
    def is_failed(self) -> bool:
        return self.state == "failed"

    @property
    def is_loaded(self) -> bool:
        return self.properties.get("LoadState") == "loaded"

    @property
    def main_pid(self) -> int | None:
        said = self.properties.get("MainPID", "")
        return int(said) or None if said.isdecimal() else None

    @property
    def invocation(self) -> str:
        """systemd's own name of the run that is, or was last; empty before the first."""
        return self.properties.get("InvocationID", "")

    @property
    def result(self) -> str:
        """How the last run ended, such as `signal`; `success` while there is one."""
        return self.properties.get("Result", "success")

    @property
    def exit_status(self) -> str:
        """Of its main process: an exit code, or the number of a signal."""
        return self.properties.get("ExecMainStatus", "0")

    @property
    def needs_reload(self) -> bool:
        return self.properties.get("NeedDaemonReload") == "yes"

    @property
    def memory(self) -> int | None:
        """Bytes that it holds; None where nobody counts them."""
        return self._counted("MemoryCurrent")

    @property
    def cpu(self) -> timedelta | None:
        """What it has computed since it was started; None where nobody counts it."""
        found = self._counted("CPUUsageNSec")
        return None if found is None else timedelta(microseconds=found // 1000)

    def _counted(self, name: str) -> int | None:
        said = self.properties.get(name, "")
        return int(said) if said.isdecimal() and int(said) < UNCOUNTED else None

    def limits(self, settings: AgentSettings) -> Limits:
        return Limits.shown(self.properties, with_tasks=settings.tasks_max is not None)


@dataclass(frozen=True, slots=True)
class Systemd:
    """What was seen of one unit is good for a moment, until hive itself acts.

    A check, the apply behind it and the next step's check then look once. Any look is as old as
    that by the time it is used.
    """

    shell: Shell
    clock: Clock = field(default_factory=SystemClock)
    looks: Looks[ContainerName, Unit] = field(default_factory=Looks)
    """Those of all jobs that share them."""
    _seen: dict[ContainerName, tuple[float, Unit]] = field(default_factory=dict)

    def units(self, containers: Sequence[ContainerName]) -> dict[ContainerName, Unit]:
        """All of them, by one program."""
        if not containers:
            return {}
        asked = {container.unit: container for container in containers}
        ran = self.shell.run("systemctl", "show", "-p", ",".join(PROPERTIES), *asked, quiet=True)
        shown = {unit.properties.get("Id", ""): unit for unit in _units(ran.out)}
        return {container: shown.get(unit, Unit({})) for unit, container in asked.items()}

    def unit(self, container: ContainerName) -> Unit:
        at, unit = self._seen.get(container, (-FRESH, Unit({})))
        return unit if self.clock.monotonic() - at < FRESH else self.look(container)

    def look(self, container: ContainerName) -> Unit:
        """As it is now, whatever was seen before; one program may have looked for many jobs."""
        unit = self.looks.ask(container, lambda asked: self.units(sorted(asked)), self._go_on)
        self._seen[container] = self.clock.monotonic(), unit
        return unit

    def _go_on(self) -> None:
        """A halt is heard of in a sleep."""
        self.clock.sleep(timedelta(0))

    def service(self, name: str) -> Unit:
        """A unit that is no container, as it is now."""
        ran = self.shell.run("systemctl", "show", "-p", ",".join(PROPERTIES), name, quiet=True)
        return next(_units(ran.out), Unit({}))

    def daemon_reload(self) -> None:
        self._act("daemon-reload")

    def start(self, container: ContainerName) -> None:
        """Blocks until it says that it is ready.

        Raises `Transient`, code `start-failed`, with the last that its journal says.
        """
        try:
            self._act("start", container.unit)
        except CommandFailed as failed:
            said, hint = self._why(container, failed)
            raise Transient(
                f"{container} does not start: {said}", code="start-failed", hint=hint
            ) from None

    def stop(self, container: ContainerName) -> None:
        self._act("stop", container.unit)

    def reload(self, container: ContainerName) -> None:
        """The running container switches to what its profile holds.

        Raises `Transient`, code `reload-failed`, with the last that its journal says.
        """
        try:
            self._act("reload", container.unit)
        except CommandFailed as failed:
            said, hint = self._why(container, failed)
            raise Transient(
                f"{container} does not reload: {said}", code="reload-failed", hint=hint
            ) from None

    def reset_failed(self, container: ContainerName) -> None:
        """A unit that failed five times does not start again before this."""
        self._act("reset-failed", container.unit)

    def _journal(self, container: ContainerName, lines: int) -> list[str]:
        look = ("journalctl", "--no-pager", "--output=cat", f"--lines={lines}")
        return self.shell.run(*look, f"--unit={container.unit}", quiet=True).out.splitlines()

    def _act(self, *words: str) -> None:
        try:
            self.shell.run("systemctl", *words, within=START)
        finally:
            self._seen.clear()

    def _why(self, container: ContainerName, failed: CommandFailed) -> tuple[str, str]:
        """And where to read on. systemctl only says where to look: that is in the job's log."""
        try:
            said = self.last_words(container).splitlines()
        except HiveError:
            said = []
        told = [line.strip() for line in said]
        last = next((line for line in reversed(told) if line), failed.message)
        return last, f"`hive logs` of the job has more, and journalctl -u {container.unit}"

    def last_words(self, container: ContainerName, *, lines: int = SAID) -> str:
        """The end of its journal, without what systemd itself says there."""
        said = self._journal(container, lines)
        told = (line for line in said if not line.startswith(BY_SYSTEMD))
        return "\n".join(line if len(line) <= WIDEST else f"{line[:WIDEST]}…" for line in told)

    def last_end(self, container: ContainerName) -> tuple[str, str]:
        """Result and exit status of the last run that failed, by the journal.

        For a unit that systemd itself has started again: of what was before it shows nothing more.
        """
        result = status = "unknown"
        for line in self._journal(container, SAID):
            if line.startswith(f"{container.unit}: "):
                result = found[1] if (found := _RESULT.search(line)) else result
                status = found[1] if (found := _STATUS.search(line)) else status
        return result, status

    def is_going_down(self) -> bool:
        """This host stops, and all of its units with it."""
        ran = self.shell.run("systemctl", "show", "-p", "SystemState", quiet=True)
        return ran.out.strip() == "SystemState=stopping"

    def answers(self) -> bool:
        """Whether there is a systemd to speak to."""
        try:
            self.shell.run("systemctl", "show", "-p", "Version", quiet=True)
        except CommandFailed:
            return False
        return True


def _units(shown: str) -> Iterator[Unit]:
    """A blank line stands between units; properties come in systemd's order."""
    for part in shown.strip().split("\n\n"):
        pairs = (line.partition("=") for line in part.splitlines())
        yield Unit({key: value for key, _, value in pairs})
