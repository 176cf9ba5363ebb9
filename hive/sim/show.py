"""`systemctl show`: properties in systemd's order, a blank line between units."""

from __future__ import annotations

from hive.sim import limits, processes, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places
    from hive.sim.units import Unit

NOT_SET = "[not set]"


def print_all(places: Places, names: list[str], asked: list[str] | None, value_only: bool) -> None:
    if not names:
        shown = [{"Version": "252 (hive sim)", "SystemState": "running"}]
    else:
        shown = [properties(places, name) for name in names]
    print("\n\n".join(_lines(found, asked, value_only) for found in shown))


def _lines(found: dict[str, str], asked: list[str] | None, value_only: bool) -> str:
    """In our order, not the caller's; what is not known is left out, as systemd does."""
    wanted = {key: value for key, value in found.items() if asked is None or key in asked}
    return "\n".join(value if value_only else f"{key}={value}" for key, value in wanted.items())


def properties(places: Places, name: str) -> dict[str, str]:
    """A unit that nobody has heard of is inactive and dead, which is an answer."""
    from hive.sim.systemctl import container_of

    container = container_of(name)
    if container is None:
        return _unknown(name)
    return _of(units.look(places, container))


def _unknown(name: str) -> dict[str, str]:
    return {
        "MainPID": "0", "Result": "success", "NRestarts": "0", "ExecMainStatus": "0",
        "MemoryCurrent": NOT_SET, "CPUUsageNSec": NOT_SET,
        "CPUQuotaPerSecUSec": limits.INFINITY, "MemoryMax": limits.INFINITY,
        "TasksMax": limits.INFINITY, "Id": name, "LoadState": "not-found",
        "ActiveState": "inactive", "SubState": "dead", "ActiveEnterTimestamp": "",
        "NeedDaemonReload": "no", "InvocationID": "",
    }  # fmt: skip


def _of(unit: Unit) -> dict[str, str]:
    """`Job` is there only while there is one, as with systemd."""
    found = _unknown(unit.name)
    active, sub = unit.state
    found |= {
        "Result": str(unit.kept.get("result", "success")),
        "ExecMainStatus": str(unit.kept.get("status", 0)),
        "LoadState": "loaded",
        "ActiveState": active,
        "SubState": sub,
        "ActiveEnterTimestamp": units.entered(unit),
        "InvocationID": units.invocation(unit),
    }
    if unit.lives:
        found |= _processes(unit)
    found |= _limits(unit)
    if active in ("activating", "deactivating"):
        at = list(found).index("NeedDaemonReload")
        found = dict([*list(found.items())[:at], ("Job", "1"), *list(found.items())[at:]])
    return found


def _processes(unit: Unit) -> dict[str, str]:
    pids = [pid for pid in (unit.run["main"], unit.run["leader"]) if pid]
    return {
        "MainPID": str(unit.run["main"]),
        "MemoryCurrent": str(sum(map(processes.memory, pids))),
        "CPUUsageNSec": str(sum(map(processes.cpu, pids))),
    }


def _limits(unit: Unit) -> dict[str, str]:
    """Those of the last load; what is not loaded is read for the asking, so it is never old."""
    loaded = unit.kept.get("loaded")
    if not loaded:
        return dict(limits.load(unit.places, unit.container)["limits"])
    is_old = loaded["files"] != limits.fingerprint(unit.places, unit.container)
    return {**loaded["limits"], "NeedDaemonReload": "yes" if is_old else "no"}
