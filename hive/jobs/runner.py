"""Make every step hold, in order, and write down how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from hive.adapters.world import World
from hive.errors import StepDidNotHold
from hive.steps.gate import is_gate
from hive.steps.step import Differs, Finding, Holds, Step, name_of


class Journal(Protocol):
    """Told how each step goes. `at` counts from 0."""

    def looking(self, at: int, step: Step) -> None: ...
    def held(self, at: int, step: Step, finding: Holds) -> None: ...
    def applying(self, at: int, step: Step, finding: Differs) -> None: ...
    def applied(self, at: int, step: Step, finding: Holds) -> None: ...


def run(steps: Sequence[Step], world: World, journal: Journal, *, first: int = 0) -> bool:
    """Check, apply, check again; False when it stopped at a gate that does not hold.

    Raises what a step raises; the journal knows which one it was.
    """
    for at, step in enumerate(steps, start=first):
        journal.looking(at, step)
        match step.check(world):
            case Holds() as finding:
                journal.held(at, step, finding)
            case Differs() if is_gate(step):
                return False
            case Differs() as finding:
                journal.applying(at, step, finding)
                step.apply(world)
                journal.applied(at, step, _confirmed(step, world))
    return True


def preview(steps: Sequence[Step], world: World) -> Iterator[tuple[Step, Finding]]:
    """What each step finds right now; nothing is touched."""
    for step in steps:
        yield step, step.check(world)


def _confirmed(step: Step, world: World) -> Holds:
    match step.check(world):
        case Holds() as finding:
            return finding
        case Differs(because):
            raise StepDidNotHold(
                f"{name_of(step)} was applied, and still: {because}",
                hint="something else changes it, or hive misreads it: see the job's log",
            )
