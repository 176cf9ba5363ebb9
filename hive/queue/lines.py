"""Log lines on their way to the database: in batches, and never in the way of the job."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hive.domain.job import JobId
from hive.store import logs
from hive.store.logs import CUT, Extent, NewLine, counted, size_of
from hive.store.session import Database

EVERY: Final = timedelta(milliseconds=100)
LIMIT: Final = 64_000_000
"""Bytes of a job's log: text in UTF-8, and a fixed overhead for each line, `logs.OVERHEAD`."""
HELD: Final = 100_000
HELD_BYTES: Final = 16_000_000
"""What is kept while the database does not take it; the oldest lines go first."""
BATCH: Final = 2_000
BATCH_BYTES: Final = 1_000_000
"""Written in one transaction, which holds up other writers on SQLite."""
PATIENCE: Final = timedelta(seconds=10)
"""How long the job waits for a database that does not even refuse."""

log = logging.getLogger("hive.lines")


class LineWriter:
    """Takes an attempt's lines from any thread; a thread of its own writes them down.

    Without lines there is no thread. Nothing here raises, whatever the database does.
    """

    def __init__(self, database: Database, job: JobId, *, attempt: int, limit: int = LIMIT) -> None:
        self._database, self._job, self._attempt, self._limit = database, job, attempt, limit
        self._there = Extent() if attempt == 1 else None
        self._waiting = _Waiting()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._left = 0  # lines that are neither written nor told to be missing
        self._asked = self._answered = 0  # flushes
        self._is_closing = self._is_refused = False

    def add(self, line: NewLine) -> None:
        with self._change:
            if self._is_closing:
                self._lose(1)
                return
            self._waiting.add(line)
            self._left += 1
            if self._left == 1:  # else it is awake
                self._change.notify_all()
            if self._thread is None:
                self._thread = self._started()

    def flush(self) -> None:
        """What was added so far is written, if the database takes it: it is asked once."""
        with self._change:
            if self._is_closing or not self._left:
                return
            self._asked += 1
            mine = self._asked
            self._change.notify_all()
            self._change.wait_for(lambda: self._answered >= mine, PATIENCE.total_seconds())

    def close(self) -> None:
        """What was added is written, or its loss is told."""
        with self._change:
            self._is_closing = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE.total_seconds())
        with self._change:
            if self._left:
                self._lose(self._left)

    def _lose(self, lines: int) -> None:
        log.warning("lines.lost count=%d job=%s", lines, self._job)

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="hive-lines", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        is_last = False
        while not is_last:
            asked, is_last = self._awaited()
            self._write()
            with self._change:
                self._answered = asked
                self._change.notify_all()

    def _awaited(self) -> tuple[int, bool]:
        """When there are lines, and a moment later, for more to come: unless they are waited for.

        How many flushes wait for them, and whether there will be no more.
        """
        with self._change:
            self._change.wait_for(lambda: self._left or self._is_awaited())
            self._change.wait_for(self._is_awaited, EVERY.total_seconds())
            return self._asked, self._is_closing

    def _is_awaited(self) -> bool:
        return self._is_closing or self._asked > self._answered

    def _write(self) -> None:
        """Batch by batch, until nothing waits or the database refuses one."""
        while batch := self._next():
            is_stored = self._stored(batch)
            with self._change:
                if not is_stored:
                    self._waiting.give_back(batch)
                    return
                self._left -= batch.count

    def _next(self) -> _Batch | None:
        """Taken out while it is on its way, so that what is dropped meanwhile is not of it."""
        with self._change:
            return self._waiting.take() if self._left else None

    def _stored(self, batch: _Batch) -> bool:
        """After a refusal the log is measured again: a commit may have come through unanswered.

        Its lines are then written twice.
        """
        there, self._there = self._there, None
        try:
            with self._database.progress() as session:
                lines = batch.told(self._job, self._attempt)
                there = logs.extend(session, self._job, lines, there=there, limit=self._limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the job's
            self._refused(error, batch)
            return False
        self._there, self._is_refused = there, False
        return True

    def _refused(self, error: Exception, batch: _Batch) -> None:
        """Said once, not ten times a second."""
        if not self._is_refused:
            log.warning("lines.kept job=%s count=%d because=%s", self._job, batch.count, error)
        self._is_refused = True


@dataclass(frozen=True, slots=True)
class _Batch:
    """Lines to write at once, and how many were dropped right before them."""

    lines: list[NewLine]
    dropped: int
    dropped_at: datetime | None

    @property
    def count(self) -> int:
        return self.dropped + len(self.lines)

    def told(self, job: JobId, attempt: int) -> list[NewLine]:
        """With a line that stands for what was dropped."""
        if self.dropped_at is None:
            return self.lines
        said = f"{counted(self.dropped)} missing here: the database did not take them in time"
        return [NewLine(job, attempt, "", CUT, self.dropped_at, said), *self.lines]


@dataclass(slots=True)
class _Waiting:
    """The lines that the database has yet to take, oldest first, as many as may be kept."""

    lines: deque[NewLine] = field(default_factory=deque)
    size: int = 0
    dropped: int = 0
    dropped_at: datetime | None = None

    def add(self, line: NewLine) -> None:
        self.lines.append(line)
        self.size += size_of(line)
        self._bound()

    def take(self) -> _Batch:
        lines: list[NewLine] = []
        most = self.size - BATCH_BYTES
        while self.lines and len(lines) < BATCH and self.size > most:
            lines.append(self._pop())
        batch = _Batch(lines, self.dropped, self.dropped_at)
        self.dropped, self.dropped_at = 0, None
        return batch

    def give_back(self, batch: _Batch) -> None:
        """In front of all that came since; what is older than something dropped is dropped too."""
        if self.dropped:
            self.dropped += batch.count
            return
        self.dropped, self.dropped_at = batch.dropped, batch.dropped_at
        self.lines.extendleft(reversed(batch.lines))
        self.size += sum(map(size_of, batch.lines))
        self._bound()

    def _pop(self) -> NewLine:
        line = self.lines.popleft()
        self.size -= size_of(line)
        return line

    def _bound(self) -> None:
        while len(self.lines) > HELD or self.size > HELD_BYTES:
            self.dropped, self.dropped_at = self.dropped + 1, self._pop().at
