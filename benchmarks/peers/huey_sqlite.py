"""Huey on SQLite, set to wait for the disk at every commit, and to look often when idle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huey import Huey, SqliteHuey  # type: ignore[import-untyped]

from benchmarks.peers.course import POLL_MS, Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers

OFTEN = POLL_MS / 1000


def measure(servers: Servers, course: Course) -> Figures:
    file = servers.folder / "huey.sqlite"
    huey = _huey(file)
    entrant = Entrant(
        system="huey sqlite",
        how=f"huey consumer, {course.hands} threads, looks every {POLL_MS} ms (default 100 to"
        " 10,000)",
        stored="jobs and results in SQLite, fsync; what a killed worker ran is lost",
        worker=("huey_sqlite", file),
        enqueue=noop_of(huey, NO_PEN),
        results=huey.result_count,
    )
    try:
        return run(entrant, course)
    finally:
        huey.storage.close()
        for left in servers.folder.glob(f"{file.name}*"):
            left.unlink()


def work(pen: Pen, hands: int, file: str) -> None:
    huey = _huey(file)
    noop_of(huey, pen)
    consume(huey, hands)


def noop_of(huey: Huey, pen: Pen) -> Callable[[int], object]:
    """What enqueues one."""

    def noop(number: int) -> int:
        return pen(number)

    enqueue: Callable[[int], object] = huey.task(name="noop")(noop)
    return enqueue


def consume(huey: Huey, hands: int) -> None:
    huey.create_consumer(workers=hands, initial_delay=OFTEN, max_delay=OFTEN, backoff=1.0).run()


def _huey(file: str | Path) -> Huey:
    return SqliteHuey("bench", filename=str(file), fsync=True)
