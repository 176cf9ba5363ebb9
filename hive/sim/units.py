"""What is so of each pretend unit: looked at without waiting, and put right where a kill left it.

A unit is a folder with two files. `run.json` is written by the unit's own main process and says
which processes play it; `unit.json` is written under the unit's lock and says all that outlives
them. What a killed stand-in has left half done is finished by whoever looks next, as the real
systemd goes on with its own job when a `systemctl` is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time

from hive.sim import journal, limits, processes
from hive.sim.files import Lock, read_json, remove_tree, write_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hive.sim.places import Places

START_LIMIT = 5
STOP_WITHIN = 10.0


class Unit:
    """`container@<container>.service` at one moment."""

    def __init__(self, places: Places, container: str) -> None:
        self.places, self.container = places, container
        self.folder = places.unit(container)
        self.read()

    def read(self) -> None:
        self.run: dict[str, Any] = read_json(os.path.join(self.folder, "run.json"))
        self.kept: dict[str, Any] = read_json(os.path.join(self.folder, "unit.json"))

    @property
    def name(self) -> str:
        return f"container@{self.container}.service"

    def lock(self, *, wait: bool = True) -> Lock:
        return Lock(os.path.join(self.folder, "lock"), wait=wait)

    def keep(self, **changes: object) -> None:
        self.kept |= changes
        write_beside(
            os.path.join(self.folder, "unit.json"), json.dumps(self.kept), tmp=self.places.tmp
        )

    @property
    def lives(self) -> bool:
        """Its main process is there; a supervisor that has seen the end is about to leave."""
        run = self.run
        return bool(run) and "end" not in run and processes.lives(run["main"], run["main_since"])

    @property
    def state(self) -> tuple[str, str]:
        """ActiveState and SubState."""
        if self.lives and self.kept.get("stopping"):
            return "deactivating", "stop-sigterm"
        if self.lives:
            return ("active", "running") if self.run["ready"] else ("activating", "start")
        return ("failed", "failed") if self.kept.get("failed") else ("inactive", "dead")

    @property
    def leader(self) -> int | None:
        is_up = self.lives and processes.lives(self.run["leader"], self.run["leader_since"])
        return int(self.run["leader"]) if is_up else None

    def load(self) -> None:
        """Its limits are those of its drop-ins, as of now."""
        self.keep(loaded=limits.load(self.places, self.container))

    def fail(self, result: str, status: int = 1) -> None:
        """It did not start, or ended badly; a drop-in that it has read stays in force."""
        self.keep(
            failed=True, stopping=False, result=result, status=status,
            failures=int(self.kept.get("failures", 0)) + 1,
        )  # fmt: skip
        journal.note(self.places, self.container, f"{self.name}: Failed with result '{result}'.")


def look(places: Places, container: str) -> Unit:
    """The unit as it is, after what was left half done. Never waits for one at work on it."""
    unit = Unit(places, container)
    half_done = unit.run and (not unit.lives or unit.kept.get("stopping"))
    if half_done:
        with unit.lock(wait=False) as lock:
            if lock.held:
                settle(unit)
    return unit


def settle(unit: Unit) -> None:
    """Finish what was begun. The caller holds the unit's lock."""
    unit.read()
    if unit.run and unit.lives and unit.kept.get("stopping"):
        end(unit)
    elif unit.run and not unit.lives:
        _bury(unit)


def end(unit: Unit) -> None:
    """It is inactive: asked to leave, then killed. The caller holds the unit's lock."""
    unit.keep(stopping=True)  # first: a main process that is gone from here on has not failed
    if unit.run:
        processes.end(unit.run["main"], unit.run["main_since"], within=STOP_WITHIN)
    _bury(unit)


def _bury(unit: Unit) -> None:
    """The processes are gone: the rest of the group is killed, and its traces are removed."""
    unit.run = read_json(os.path.join(unit.folder, "run.json")) or unit.run
    run = unit.run
    if run.get("leader"):
        processes.kill(run["leader"], run["leader_since"])
    if run.get("main"):
        processes.kill(run["main"], run["main_since"])
    _judge(unit)
    for pid in (run.get("main"), run.get("leader")):
        if pid:
            remove_tree(unit.places.process(pid))
    run_file = os.path.join(unit.folder, "run.json")
    if os.path.lexists(run_file):
        os.unlink(run_file)
    unit.read()


def _judge(unit: Unit) -> None:
    """Once a run, however often it is buried."""
    run = unit.run
    mark = [run.get("main"), run.get("main_since")]
    kind, status = run.get("end") or ("signal", 9)
    if unit.kept.get("judged") == mark:
        return
    if unit.kept.get("stopping") or (kind, status) == ("exit-code", 0):
        unit.keep(
            stopping=False, failed=False, result="success", status=0, loaded=None, judged=mark
        )
        journal.note(unit.places, unit.container, f"Stopped {unit.name}.")
    else:
        unit.keep(judged=mark)
        unit.fail(kind, status)


def containers(places: Places) -> list[str]:
    """All that have ever been units here."""
    try:
        return sorted(os.listdir(places.units))
    except FileNotFoundError:
        return []


def entered(unit: Unit) -> str:
    """ActiveEnterTimestamp, as systemd prints it."""
    at = unit.run.get("ready") if unit.lives else None
    return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(at)) if at else ""


def invocation(unit: Unit) -> str:
    """A name of the run that is, or was last: 32 hex digits."""
    run = [unit.run.get("main"), unit.run.get("main_since")] if unit.run else None
    mark = run or unit.kept.get("judged")
    return hashlib.md5(json.dumps(mark).encode()).hexdigest() if mark else ""
