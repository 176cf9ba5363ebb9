"""How a job goes, written down while it goes: its steps, and the lines of its programs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime

from hive.adapters.clock import Clock
from hive.adapters.shell import Stream
from hive.domain.job import Job, StepRecord, StepState
from hive.errors import FencedOut, HiveError
from hive.queue.attempt import Attempt
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
    attempt: Attempt
    firm_at: int = 0
    """From this position on no more urgent job is made way for."""
    at: int = -1
    """The position of the step that was last looked at; -1 before the first."""
    looks: int = 0
    """How often a step was looked at."""
    name: str = ""
    _since: float = 0.0
    _started_at: datetime | None = None
    _noted: list[tuple[StepRecord, datetime]] = field(default_factory=list)

    def tell(self, stream: Stream, line: str) -> None:
        now = self.clock.now()
        new = NewLine(self.job.id, self.job.attempt, self.name, stream.value, now, line)
        self.lines.add(new)

    def begin(self) -> None:
        """The steps of earlier attempts are gone from view."""
        with self.database.progress() as session:
            steps.clear(session, self.job.id, self.job.attempt)

    def looking(self, at: int, step: Step) -> None:
        """Raises `Halted` when the attempt may not go on: then the step is not looked at."""
        self.attempt.looking(firm=at >= self.firm_at)
        self.at, self.name = at, name_of(step)
        self.looks += 1
        self._since, self._started_at = self.clock.monotonic(), self.clock.now()

    def held(self, at: int, step: Step, finding: Holds) -> None:  # noqa: ARG002 - looked at just now
        self._note(StepState.HELD, finding.because)

    def applying(self, at: int, step: Step, finding: Differs) -> None:  # noqa: ARG002
        self._note(StepState.APPLYING, finding.because)
        self._write()

    def applied(self, at: int, step: Step, finding: Holds) -> None:  # noqa: ARG002
        self._note(StepState.APPLIED, finding.because)

    def failed(self, because: str) -> None:
        if self.at >= 0:
            self._note(StepState.FAILED, because)
        self._write()

    def flush(self) -> None:
        """All that was told so far is written: who sees a job's end sees what came before it."""
        self._write()
        self.lines.flush()

    def _note(self, state: StepState, because: str) -> None:
        seconds = round(self.clock.monotonic() - self._since, 3)
        record = StepRecord(self.at, self.name, state, because, seconds)
        self._noted.append((record, self._started_at or self.clock.now()))

    def _write(self) -> None:
        """What held or was applied is written with the next step that takes time, or at the end.

        Steps are for people to see: a database that does not take them is not in the job's way.
        """
        if not self._noted:
            return
        try:
            mine = self._recorded()
        except HiveError as error:
            log.warning("steps.not-written job=%s because=%s", self.job.id, error.message)
            return
        self._noted.clear()
        if not all(mine):
            raise FencedOut(f"job {self.job.id} was taken over after attempt {self.job.attempt}")

    def _recorded(self) -> list[bool]:
        job = self.job
        with self.database.progress() as session:
            return [
                steps.record(session, job.id, job.attempt, record, started_at=since)
                for record, since in self._noted
            ]
