"""The stand-in for `machinectl`: who leads a running container."""

from __future__ import annotations

import signal
import sys

from hive.sim import processes, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places


def main(arguments: list[str], places: Places) -> int:
    words = [word for word in arguments if not word.startswith("-")]
    if "--version" in arguments:
        print("systemd 252 (hive sim)")
        return 0
    if words[:1] == ["show"] and len(words) > 1:
        return show(places, words[1], arguments)
    if words[:1] == ["terminate"] and len(words) > 1:
        return terminate(places, words[1])
    return listed(places)


def show(places: Places, name: str, arguments: list[str]) -> int:
    unit = units.look(places, name)
    leader = unit.leader
    if leader is None:
        return _unknown("Could not get path to machine", name)
    found = {"Name": name, "Leader": str(leader), "Class": "container", "State": "running",
             "Unit": unit.name, "RootDirectory": places.container_root(name)}  # fmt: skip
    asked = _asked(arguments)
    for key, value in found.items():
        if not asked or key in asked:
            print(value if "--value" in arguments else f"{key}={value}")
    return 0


def _asked(arguments: list[str]) -> set[str]:
    """The words after each `-p`, and those glued to it."""
    after = [word for at, word in enumerate(arguments) if at and arguments[at - 1] == "-p"]
    glued = [word.partition("=")[2] for word in arguments if word.startswith("--property=")]
    glued += [word[2:] for word in arguments if word.startswith("-p") and len(word) > 2]
    return {name for words in after + glued for name in words.split(",")}


def terminate(places: Places, name: str) -> int:
    unit = units.look(places, name)
    if unit.leader is None:
        return _unknown("Could not terminate machine", name)
    with unit.lock():
        unit.read()
        processes.tell(unit.run["leader"], unit.run["leader_since"], signal.SIGTERM)
        units.end(unit)
    return 0


def _unknown(what: str, name: str) -> int:
    sys.stderr.write(f"{what}: No machine '{name}' known\n")
    return 1


def listed(places: Places) -> int:
    running = [name for name in units.containers(places) if units.look(places, name).leader]
    if not running:
        print("No machines.")
        return 0
    print("MACHINE     CLASS     SERVICE        OS    VERSION ADDRESSES")
    for name in running:
        print(f"{name:<11} container systemd-nspawn nixos -       -")
    print(f"\n{len(running)} machines listed.")
    return 0
