"""How a job goes, written down while it goes: its steps, and the lines of its programs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from hive.adapters.clock import Clock
from hive.adapters.shell import Stream
from hive.domain.job import Job, StepRecord, StepState
from hive.errors import FencedOut, HiveError
from hive.queue.lines import LineWriter
from hive.steps.step import Differs, Holds, Step, name_of
from hive.store import steps
from hive.store.logs import NewLine
from hive.store.session import Database

log = logging.getLogger("hive.journal")


@dataclass(slots=True)
class JobJournal:
    """One attempt's. Every write carries the attempt, the fence."""

    database: Database
    clock: Clock
    job: Job
    lines: LineWriter
    at: int = -1
    """The position of the step that was last looked at; -1 before the first."""
    name: str = ""
    _since: float = 0.0
    _started_at: datetime | None = None

    def tell(self, stream: Stream, line: str) -> None:
        now = self.clock.now()
        new = NewLine(self.job.id, self.job.attempt, self.name, stream.value, now, line)
        self.lines.add(new)

    def begin(self) -> None:
        """The steps of earlier attempts are gone from view."""
        with self.database.progress() as session:
            steps.clear(session, self.job.id, self.job.attempt)

    def looking(self, at: int, step: Step) -> None:
        self.at, self.name = at, name_of(step)
        self._since, self._started_at = self.clock.monotonic(), self.clock.now()

    def held(self, at: int, step: Step, finding: Holds) -> None:  # noqa: ARG002 - looked at just now
        self._write(StepState.HELD, finding.because)

    def applying(self, at: int, step: Step, finding: Differs) -> None:  # noqa: ARG002
        self._write(StepState.APPLYING, finding.because)

    def applied(self, at: int, step: Step, finding: Holds) -> None:  # noqa: ARG002
        self._write(StepState.APPLIED, finding.because)

    def failed(self, because: str) -> None:
        """Where the database does not take it, the job's own error still says so."""
        try:
            if self.at >= 0:
                self._write(StepState.FAILED, because)
        except FencedOut:
            raise
        except HiveError as error:
            log.warning("step.not-written job=%s because=%s", self.job.id, error.message)

    def _write(self, state: StepState, because: str) -> None:
        seconds = round(self.clock.monotonic() - self._since, 3)
        record = StepRecord(self.at, self.name, state, because, seconds)
        since, job = self._started_at or self.clock.now(), self.job
        with self.database.progress() as session:
            mine = steps.record(session, job.id, job.attempt, record, started_at=since)
        if not mine:
            raise FencedOut(f"job {job.id} was taken over after attempt {job.attempt}")
