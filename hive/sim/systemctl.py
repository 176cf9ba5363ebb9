"""The stand-in for `systemctl`: verbs on `container@N` units, with systemd's words and exits."""

from __future__ import annotations

import os
import re
import sys

from hive.sim import conf as confs
from hive.sim import journal, limits, processes, units
from hive.sim.units import Unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places

VERSION = "252 (hive sim)"
_UNIT = re.compile(r"container@([^/\s]+?)(?:\.service)?")
_WITH_VALUE = ("-p", "--property", "-t", "--type", "--state", "-n", "--lines", "-o", "--output")


def main(arguments: list[str], places: Places) -> int:
    verb, names, properties, value_only = _parsed(arguments)
    if "--version" in arguments:
        print(f"systemd {VERSION}")
        return 0
    if verb == "show":
        from hive.sim import show

        show.print_all(places, [full(name) for name in names], properties, value_only)
        return 0
    if verb == "daemon-reload":
        return daemon_reload(places)
    if verb == "is-active":
        return is_active(places, names)
    if verb not in VERBS:
        sys.stderr.write(f"Unknown command verb {verb}.\n")
        return 1
    if verb == "reset-failed" and not names:
        names = [f"container@{container}" for container in units.containers(places)]
    return max([act(places, verb, full(name)) for name in names], default=0)


def _parsed(arguments: list[str]) -> tuple[str, list[str], list[str] | None, bool]:
    words: list[str] = []
    properties: list[str] | None = None
    rest = iter(arguments)
    for word in rest:
        key, equals, value = word.partition("=")
        if word.startswith("-p") and not word.startswith("--") and len(word) > 2:
            key, value, equals = "-p", word[2:], "="
        if key in _WITH_VALUE and not equals:
            value = next(rest, "")
        if key in ("-p", "--property"):
            properties = [*(properties or []), *value.split(",")]
        elif not word.startswith("-"):
            words.append(word)
    return (words or ["list-units"])[0], words[1:], properties, "--value" in arguments


def full(name: str) -> str:
    return name if re.search(r"\.[a-z]+$", name) else f"{name}.service"


def container_of(unit: str) -> str | None:
    found = _UNIT.fullmatch(unit)
    return found[1] if found else None


def act(places: Places, verb: str, name: str) -> int:
    container = container_of(name)
    if container is None:
        sys.stderr.write(f"Failed to {verb} {name}: Unit {name} not found.\n")
        return 5
    unit = Unit(places, container)
    with unit.lock():
        units.settle(unit)
        return VERBS[verb](unit)


def start(unit: Unit) -> int:
    """Blocks until the container says that it is ready."""
    if unit.lives and not unit.run["ready"]:  # by a `systemctl` that was killed since
        _wait_for(unit)
    if unit.lives:
        return 0
    units.settle(unit)
    if int(unit.kept.get("failures", 0)) >= units.START_LIMIT:
        journal.note(
            unit.places, unit.container, f"{unit.name}: Start request repeated too quickly."
        )
        unit.keep(failed=True, result="start-limit-hit")
        return _job_failed(unit, "")
    unit.load()
    refused = _refusal(unit)
    if refused:
        journal.note(unit.places, unit.container, refused, by="systemd-nspawn")
        unit.fail("exit-code")
        return _job_failed(unit, _BECAUSE["exit-code"])
    return _launch(unit)


def _refusal(unit: Unit) -> str | None:
    """Why nspawn would not even begin."""
    places, container = unit.places, unit.container
    root = places.container_root(container)
    if not os.path.isdir(root):
        return f"Directory {root} doesn't look like it has an OS tree. Refusing."
    missing = confs.missing_source(confs.read(places.conf(container)))
    if missing:
        return f"Failed to stat {missing}: No such file or directory"
    init = os.path.join(places.profile(container), "init")
    return None if os.access(init, os.X_OK) else f"execv({init}) failed: No such file or directory"


def _launch(unit: Unit) -> int:
    from hive.sim import supervisor  # only a start pays for it

    conf = confs.read(unit.places.conf(unit.container))
    system = os.path.realpath(unit.places.profile(unit.container))
    unit.keep(failed=False, stopping=False, result="success", status=0)
    is_ready = supervisor.launch(unit.places, unit.container, conf, system).wait()
    unit.read()
    if is_ready:
        unit.keep(failures=0)
        return 0
    units.end(unit) if unit.lives else units.settle(unit)
    if not unit.kept.get("failed"):  # it hung, or left without a word
        unit.fail("timeout")
    return _job_failed(unit, _BECAUSE.get(str(unit.kept["result"]), _BECAUSE["exit-code"]))


def _wait_for(unit: Unit) -> None:
    """Until it is ready, or gone; its own supervisor ends it when it takes too long."""
    while unit.lives and not unit.run["ready"]:
        processes.wait_a_little()
        unit.read()


_BECAUSE = {
    "exit-code": " because the control process exited with error code",
    "timeout": " because a timeout was exceeded",
    "signal": " because a fatal signal was delivered to the control process",
}


def _job_failed(unit: Unit, because: str) -> int:
    sys.stderr.write(
        f"Job for {unit.name} failed{because}.\n"
        f'See "systemctl status {unit.name}" and "journalctl -xeu {unit.name}" for details.\n'
    )
    return 1


def stop(unit: Unit) -> int:
    if unit.lives:
        units.end(unit)
    return 0


def restart(unit: Unit) -> int:
    stop(unit)
    return start(unit)


def reload(unit: Unit) -> int:
    """The running container switches to what its profile holds.

    A system that asks to fail (`HIVE_SIM_RELOAD`) fails as real ones do: after the switch.
    """
    leader = unit.leader
    if unit.state[0] != "active" or leader is None:
        sys.stderr.write(
            f"Failed to reload {unit.name}: {unit.name} is not active, cannot reload.\n"
        )
        return 1
    system = os.path.realpath(unit.places.profile(unit.container))
    if not os.access(os.path.join(system, "init"), os.X_OK):
        return _job_failed(unit, _BECAUSE["exit-code"])
    from hive.sim.files import link_beside, read_json

    link = os.path.join(unit.places.process(leader), "root/run/current-system")
    link_beside(link, system, tmp=unit.places.tmp)
    journal.note(unit.places, unit.container, f"Reloaded {unit.name}: {system}")
    facts = read_json(os.path.join(system, "agent.json"))
    if facts.get("variables", {}).get("HIVE_SIM_RELOAD") == "fails":
        return _job_failed(unit, _BECAUSE["exit-code"])
    return 0


def reset_failed(unit: Unit) -> int:
    if unit.kept.get("failed") or unit.kept.get("failures"):
        unit.keep(failed=False, failures=0, result="success", status=0)
    if not unit.lives and unit.kept.get("loaded"):
        unit.keep(loaded=None)
    return 0


def daemon_reload(places: Places) -> int:
    """The limits of all loaded units are read anew, and hold at once."""
    for container in units.containers(places):
        unit = Unit(places, container)
        if unit.kept.get("loaded") and unit.kept["loaded"] != limits.load(places, container):
            with unit.lock():
                unit.read()
                unit.load()
    return 0


def is_active(places: Places, names: list[str]) -> int:
    states = []
    for name in names:
        container = container_of(full(name))
        states.append(units.look(places, container).state[0] if container else "inactive")
    print("\n".join(states))
    return 0 if "active" in states else 3


VERBS = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "reload": reload,
    "reset-failed": reset_failed,
}
