"""Log lines on their way to the database: in batches, and never in the way of the job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

from hive.errors import HiveError
from hive.store import logs
from hive.store.logs import NewLine
from hive.store.session import Database

EVERY = timedelta(milliseconds=100)
HELD = 10_000
"""Lines kept while the database does not take them; the oldest go first."""

log = logging.getLogger("hive.lines")


class LineWriter:
    """Takes lines from any thread; a thread of its own writes them down."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: list[NewLine] = []
        self._change = threading.Condition()
        self._writing = threading.Lock()
        self._is_closing = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="hive-lines", daemon=True)
        self._thread.start()

    def add(self, line: NewLine) -> None:
        with self._change:
            self._lines.append(line)
            self._bound()
            self._change.notify()

    def flush(self) -> None:
        """What was added so far is written, if the database takes it: it is asked once."""
        self._write()

    def close(self) -> None:
        """What was added is written, or its loss is told."""
        with self._change:
            self._is_closing = True
            self._change.notify()
        self._thread.join()
        if self._lines or self._dropped:
            log.warning("lines.lost count=%d", len(self._lines) + self._dropped)

    def _work(self) -> None:
        while not self._is_closing:
            with self._change:
                self._change.wait_for(lambda: bool(self._lines) or self._is_closing)
                self._change.wait_for(lambda: self._is_closing, timeout=EVERY.total_seconds())
            self._write()
        self._write()

    def _write(self) -> None:
        """Taken out while they are on their way, so that what is dropped meanwhile is not these."""
        with self._writing:
            with self._change:
                lines, self._lines = self._lines, []
            if lines and not self._stored(lines):
                with self._change:
                    self._lines[:0] = lines
                    self._bound()

    def _bound(self) -> None:
        self._dropped += max(0, len(self._lines) - HELD)
        del self._lines[:-HELD]

    def _stored(self, lines: Sequence[NewLine]) -> bool:
        try:
            with self._database.progress() as session:
                logs.append(session, lines)
        except HiveError as error:
            log.warning("lines.kept count=%d because=%s", len(lines), error.message)
            return False
        return True
