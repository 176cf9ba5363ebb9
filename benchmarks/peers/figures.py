"""What is measured of a peer, and of hive beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Figures:
    system: str
    jobs_per_second: float  #: from the first job's start until the last one's result is stored
    enqueued_per_second: float  #: one at a time
    pickup_p50: float  #: ms from before the enqueue to within the job, the worker being idle
    pickup_p99: float
    how: str  #: the worker, and what was set that is no default
    stored: str  #: where jobs and results are, and what that outlives

    def rows(self) -> Iterator[Row]:
        yield Row("jobs", self.system, round(self.jobs_per_second, 1), "/s")
        yield Row("enqueue", self.system, round(self.enqueued_per_second, 1), "/s")
        yield Row("pickup p50", self.system, round(self.pickup_p50, 2), "ms")
        yield Row("pickup p99", self.system, round(self.pickup_p99, 2), "ms")


def percentile(samples: Sequence[float], hundredth: int) -> float:
    return statistics.quantiles(samples, n=100, method="inclusive")[hundredth - 1]
