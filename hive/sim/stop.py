"""Ends every pretend container of one host, whatever state its files are in."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive.sim.places import Places


def stop_all(root: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of those that ran. For `hive demo --stop`, and for the end of a test."""
    from hive.sim.places import Places

    return _stop(Places(os.fspath(root), {}))


def _stop(places: Places) -> tuple[str, ...]:
    from hive.sim import units

    stopped = []
    for container in units.containers(places):
        unit = units.Unit(places, container)
        with unit.lock():
            unit.read()
            if unit.run:
                stopped += [container] if unit.lives else []
                units.end(unit)
    return tuple(stopped)


def main(_: list[str], places: Places) -> int:
    for name in _stop(places):
        print(name)
    return 0
