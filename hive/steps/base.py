"""The base that agents of this node are to stand on, as it was last pinned."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.meta import Base
from hive.errors import Fault, Refused
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class BaseWanted:
    """The base flake of this node was pinned by job `job`.

    A higher number is no newer job: a database that was lost gives numbers again.
    """

    job: JobId

    def check(self, world: World) -> Finding:
        found = _read(world)
        if found is None or found[0] != self.job:
            last = f"job {found[0]} pinned {found[1].label}" if found else "nothing was pinned"
            return Differs(f"the base flake was not looked at yet: {last}")
        return Holds(f"the base is {found[1].label}")

    def apply(self, world: World) -> None:
        said = {"job": self.job, "base": asdict(world.nix.pin(base_flake(world)))}
        world.files.write(world.layout.wanted_base, json.dumps(said, indent=2) + "\n")


def base_flake(world: World) -> str:
    """The reference that new agents stand on. Raises `Refused` where none is set."""
    if world.base is None:
        raise Refused(
            "there is no base flake for agents to stand on",
            code="no-base-flake",
            hint="set HIVE_BASE_FLAKE",
        )
    return world.base


def wanted_base(world: World) -> Base | None:
    """What update-base pinned last; None where it never ran."""
    found = _read(world)
    return found[1] if found else None


def _read(world: World) -> tuple[int, Base] | None:
    text = world.files.read(world.layout.wanted_base)
    if text is None:
        return None
    try:
        said = json.loads(text)
        return int(said["job"]), Base(**said["base"])
    except (ValueError, TypeError, KeyError) as error:
        raise Fault(
            f"{world.layout.wanted_base} was not written by hive: {error}",
            hint="remove it, and run `hive update-base`",
        ) from None
