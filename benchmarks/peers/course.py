"""The course that every peer runs: the same jobs, as many hands, the same clock.

First all jobs are enqueued, then one worker is started and does them. Then, while it idles, one
job at a time.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import Stamps
from benchmarks.servers import kept_folder
from hive.adapters.clock import SystemClock, wait_until

POLL_MS = 10
"""How often an idle worker looks, of the peers that poll: far more often than they do unasked."""

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
PATIENCE = 30.0
"""Seconds in which a worker must do something."""
NOW_AND_THEN = timedelta(milliseconds=5)
WARM_UP = 20
"""Samples that do not count: of the flood before there are still messages to drop."""
REST = (0.030, 0.130)
"""Seconds between two samples, at random: no rhythm of a poll can hide."""


@dataclass(frozen=True, slots=True)
class Course:
    jobs: int
    samples: int  #: of a pickup, at least two; none: only the jobs are measured
    hands: int  #: jobs that a worker does at once


@dataclass(frozen=True, slots=True)
class Entrant:
    """A peer at the start: its queue is empty, and its worker not there yet."""

    system: str
    how: str
    stored: str
    worker: tuple[str | Path, ...]  #: a module of this folder, and what its `work` is given
    enqueue: Callable[[int], object]
    results: Callable[[], int]  #: how many are stored


def run(entrant: Entrant, course: Course) -> Figures:
    jobs = course.jobs
    begun = time.perf_counter()
    for number in range(jobs):
        entrant.enqueue(number)
    enqueued = jobs / (time.perf_counter() - begun)
    with _worker(entrant, course.hands) as (stamps, log):
        done = _throughput(entrant, stamps, jobs, log)
        count = WARM_UP + course.samples if course.samples else 0
        pickups = [_pickup(entrant, stamps, jobs + n, log) for n in range(count)]
    return Figures(
        system=entrant.system,
        hands=course.hands,
        jobs_per_second=done,
        enqueued_per_second=enqueued,
        pickups=tuple(pickups[WARM_UP:]),
        how=entrant.how,
        stored=entrant.stored,
    )


@contextmanager
def _worker(entrant: Entrant, hands: int) -> Iterator[tuple[Stamps, Path]]:
    """It ends with the block, and when this process is killed."""
    with (
        kept_folder("worker", server=True) as (folder, keep),
        Stamps(folder / "stamps") as stamps,
    ):
        python = ("/usr/bin/env", f"PYTHONPATH={ROOT}", sys.executable, "-m")
        peer, *given = entrant.worker
        keep(*python, "benchmarks.peers.worker", stamps.path, peer, f"{hands}", *given)
        yield stamps, folder / "log"


def _throughput(entrant: Entrant, stamps: Stamps, jobs: int, log: Path) -> float:
    """Jobs a second, from the first start to the last result. Looks seldom: it is no job's turn."""
    while (before := len(stamps.began)) < jobs:
        if not _within_patience(partial(_more_than, before, stamps.look)):
            raise _stuck(entrant, f"began {before} of {jobs} jobs, and no other", log)
    stored = _within_patience(partial(_more_than, jobs - 1, entrant.results))
    ended = time.monotonic_ns()
    if not stored:
        raise _stuck(entrant, f"stored {entrant.results()} of {jobs} results", log)
    return jobs * 1e9 / (ended - min(stamps.began.values()))


def _within_patience(condition: Callable[[], bool]) -> bool:
    CLOCK.sleep(NOW_AND_THEN)
    return bool(wait_until(CLOCK, condition, timedelta(seconds=PATIENCE), NOW_AND_THEN))


def _more_than(count: int, seen: Callable[[], int]) -> bool:
    return seen() > count


def _pickup(entrant: Entrant, stamps: Stamps, number: int, log: Path) -> float:
    CLOCK.sleep(timedelta(seconds=random.uniform(*REST)))  # no secret
    asked = time.monotonic_ns()
    entrant.enqueue(number)
    if not stamps.wait(PATIENCE):
        raise _stuck(entrant, f"did not begin job {number}", log)
    stamps.look()
    return (stamps.began[number] - asked) / 1e6


def _stuck(entrant: Entrant, what: str, log: Path) -> SystemExit:
    return SystemExit(f"{entrant.system} {what} in {PATIENCE:.0f} s; it says: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else "nothing"
