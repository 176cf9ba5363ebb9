"""A job in view while it goes: a live list of steps on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.boundary import say
from cli.plain import plain
from hive.domain.job import ENDED, JobState, StepState
from hive.errors import HiveError

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Job, Line, Step

EVERY = 0.1
TAIL = 6
MARKS = {
    StepState.HELD: "=",
    StepState.APPLYING: "…",
    StepState.APPLIED: "+",
    StepState.FAILED: "!",
}


@contextmanager
def in_view(hive: Hive, job: int) -> Iterator[None]:
    """The job is shown on stderr, by a thread that only reads.

    The job itself runs in the thread that called: a program dies with the thread that started it.
    """
    picture = _Terminal() if sys.stderr.isatty() else _Plain()
    watcher = _Watcher(hive, job, picture)
    with picture:
        watcher.start()
        try:
            yield
        finally:
            watcher.finish()


class _Plain:
    """One line for each thing that happened."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, int], str] = {}
        self._state = ""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, job: Job, lines: list[Line]) -> None:  # noqa: ARG002 - `hive logs` has them
        self._show_state(job, before=True)
        for position, step in enumerate(job["steps"]):
            if self._said.get((job["attempt"], position)) != step["state"]:
                self._said[job["attempt"], position] = step["state"]
                say(_line(step))
        self._show_state(job, before=False)

    def _show_state(self, job: Job, *, before: bool) -> None:
        """An end is said behind the steps, anything else before them."""
        state = f"job {_named(job)}: {job['state']}, attempt {job['attempt']}"
        if job["note"]:
            state = f"{state}: {job['note']}"
        if state != self._state and before == (JobState(job["state"]) not in ENDED):
            self._state = state
            say(state)


class _Terminal:
    """The steps with their time, and the tail of the log below them."""

    def __init__(self) -> None:
        self._live = Live(console=Console(stderr=True), refresh_per_second=10)
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._since: dict[tuple[int, int], float] = {}

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, job: Job, lines: list[Line]) -> None:
        self._tail.extend(plain(line["text"]) for line in lines)
        title = _title(job)
        steps = Table.grid(padding=(0, 1))
        for position, step in enumerate(job["steps"]):
            seconds = f"{self._seconds(job['attempt'], position, step):.1f} s"
            steps.add_row(
                MARKS[StepState(step["state"])], step["name"], seconds, Text(plain(step["because"]))
            )
        tail = Text("\n".join(self._tail), style="dim", no_wrap=True, overflow="ellipsis")
        is_over = job["finished_at"] is not None
        self._live.update(Group(title, steps) if is_over else Group(title, steps, tail))

    def _seconds(self, attempt: int, position: int, step: Step) -> float:
        """How long it took; for a step that is being applied, how long it takes so far."""
        if StepState(step["state"]) is not StepState.APPLYING:
            return step["seconds"]
        now = time.monotonic()
        return step["seconds"] + now - self._since.setdefault((attempt, position), now)


def _named(job: Job) -> str:
    return " ".join(word for word in (str(job["id"]), job["kind"], job["agent"]) if word)


def _title(job: Job) -> Text:
    said = f"job {_named(job)}  {job['state']}"
    return Text(f"{said}: {plain(job['note'])}" if job["note"] else said, style="bold")


def _line(step: Step) -> str:
    mark, because = MARKS[StepState(step["state"])], " ".join(step["because"].split())
    return f"  {mark} {step['name']:<16} {step['seconds']:>6.2f} s  {because}"


class _Watcher:
    """Reads the job until told that it is over, and once more then."""

    def __init__(self, hive: Hive, job: int, picture: _Plain | _Terminal) -> None:
        self._thread = threading.Thread(target=self._watch, name="hive-view", daemon=True)
        self._hive, self._job, self._picture = hive, job, picture
        self._is_over = threading.Event()
        self._seen = 0

    def start(self) -> None:
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(EVERY):
            self._look()

    def finish(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._look()

    def _look(self) -> None:
        """What cannot be read now is read at the next look: the job does not depend on it."""
        try:
            lines = self._hive.logs(self._job, after=self._seen)["items"]
            self._seen = lines[-1]["seq"] if lines else self._seen
            self._picture.show(self._hive.job(self._job), lines)
        except HiveError as error:
            say(f"hive: the job cannot be shown just now: {error.message}")
