"""What is asked for by the clock: a cron line in a time zone, and what it asks for."""

from __future__ import annotations

from enum import StrEnum


class Verb(StrEnum):
    SWEEP = "sweep"  #: look at every agent of each node, and enqueue what differs
    UPDATE_BASE = "update-base"  #: look at the base anew, on each node
    PRUNE = "prune"  #: take away what nobody looks at any more


class CatchUp(StrEnum):
    """What becomes of the fires that were missed while nobody was there."""

    SKIP = "skip"  #: none of them is made up for
    LAST = "last"  #: the last one is
    ALL = "all"  #: each of them is
