"""What is measured of a peer, and of hive beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Figures:
    system: str
    hands: int  #: jobs that its worker did at once
    jobs_per_second: float  #: from the first job's start until the last one's result is stored
    enqueued_per_second: float  #: one at a time
    pickups: tuple[float, ...]  #: ms from before the enqueue to within the job, by an idle worker
    how: str  #: the worker, and what was set that is no default
    stored: str  #: where jobs and results are, and what that outlives

    def rows(self) -> Iterator[Row]:
        yield Row(f"jobs, {self.hands} hands", self.system, round(self.jobs_per_second, 1), "/s")
        if self.pickups:
            yield Row("enqueue", self.system, round(self.enqueued_per_second, 1), "/s")
            for hundredth in (50, 99):
                ms = percentile(self.pickups, hundredth)
                yield Row(f"pickup p{hundredth}", self.system, round(ms, 2), "ms")


def percentile(samples: Sequence[float], hundredth: int) -> float:
    return statistics.quantiles(samples, n=100, method="inclusive")[hundredth - 1]
