"""Whether trouble is worth another attempt, and after how long; jitter is added elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hive.errors import Transient

FIRST = timedelta(seconds=15)
LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Again:
    after: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    because: str


def verdict(
    error: BaseException, *, failures: int, failure_limit: int, switched: bool = False
) -> Again | GiveUp:
    """Only transient trouble before the switch is worth another attempt; the wait doubles.

    `failures` counts the transient ends so far, this one included. `switched`: a step from the
    profile on has failed, so the job restores and ends, whatever the kind of error.
    """
    if switched:
        return GiveUp("it failed after the switch")
    if not isinstance(error, Transient):
        return GiveUp(f"{type(error).__name__} is not worth retrying")
    if failures >= failure_limit:
        return GiveUp(f"failure {failures} of {failure_limit}")
    return Again(min(FIRST * 2 ** (min(failures, 20) - 1), LONGEST))
