"""What the API costs while many listen: its part of `benchmarks.api`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event as on

from benchmarks.local import Local
from benchmarks.peers.figures import percentile
from benchmarks.rows import Row
from hive.domain.event import NewEvent
from hive.domain.job import JobId
from hive.queue.host import Host
from hive.queue.lines import LineWriter
from hive.store import claims, events, jobs, logs
from hive.store.logs import NewLine

LINES: Final = 100
READERS: Final = 100
SUBSCRIBERS: Final = 200
EVENTS: Final = 500
PAUSE: Final = 0.03  #: seconds between two lines, as a build may write them
TEXT: Final = "x" * 936
"""Of a line that counts a kilobyte."""
PIECE: Final = 1000
LEASE: Final = timedelta(hours=1)


def measured(host: Host, job: JobId, megabytes: int) -> Iterator[Row]:
    """`job` is one that is queued, and nobody else runs."""
    path = host.layout.host_socket
    attempt = _running(host, job)
    for count in (1, READERS):
        took, looks = _lines(host, path, job, attempt, count)
        to = "1 reader" if count == 1 else f"{count} readers"
        yield Row(f"log line to {to} p50", "hive", round(percentile(took, 50), 1), "ms")
        yield Row(f"log line to {to} p95", "hive", round(percentile(took, 95), 1), "ms")
        yield Row(f"reads for a line, {to}", "hive", round(looks / LINES, 2), "reads")
    lost, took_all = _events(host, path)
    yield Row(f"{SUBSCRIBERS} subscribers, a break each: lost", "hive", lost, "events")
    yield Row(f"{EVENTS} events to {SUBSCRIBERS} subscribers", "hive", round(took_all, 2), "s")
    for size in sorted({64, megabytes}):
        yield from _long(host, path, job, attempt, size)


def _running(host: Host, job: JobId) -> int:
    with host.database.write() as session:
        now, lock = host.clock.now(), jobs.find(session, job).lock
        claimed = claims.claim(session, lock, worker="w", now=now, leased_until=now + LEASE)
    assert claimed is not None
    return claimed.attempt


def _lines(host: Host, path: Path, job: JobId, attempt: int, count: int) -> tuple[list[float], int]:
    """Milliseconds from when a program said a line until each has it; what the API read for it."""
    with host.database.read() as session:
        last = max((line.seq for line in logs.tail(session, job, 1)), default=0)
    ready = threading.Barrier(count + 1)

    def hear() -> list[float]:
        with closing(Local(path)) as listens:
            listens.request("GET", f"/v1/jobs/{job}/logs/live?after={last}")
            told = listens.getresponse()
            ready.wait()
            return [
                (time.perf_counter() - float(json.loads(data)["text"])) * 1000
                for data in _told(told.readline, LINES)
            ]

    writer = LineWriter(host.database, job, attempt=attempt, limit=host.log_limit)
    with closing(writer), ThreadPoolExecutor(count) as readers:
        heard = [readers.submit(hear) for _ in range(count)]
        ready.wait()
        with _counted(host) as looks:
            for _ in range(LINES):
                said = str(time.perf_counter())
                writer.add(NewLine(job, attempt, "Built", "out", host.clock.now(), said))
                host.clock.sleep(timedelta(seconds=PAUSE))
            took = [one for reader in heard for one in reader.result()]
    return took, len(looks)


def _told(readline: Callable[[], bytes], count: int) -> Iterator[bytes]:
    while count and (line := readline()):
        if line.startswith(b"data: "):
            yield line.removeprefix(b"data: ")
            count -= 1


@contextmanager
def _counted(host: Host) -> Iterator[list[str]]:
    """The statements of the reader's thread."""
    found: list[str] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        if threading.current_thread().name == "api-reader":
            found.append(statement)

    on.listen(host.database.engine, "before_cursor_execute", count)
    try:
        yield found
    finally:
        on.remove(host.database.engine, "before_cursor_execute", count)


def _write(host: Host, job: JobId, attempt: int, texts: list[str]) -> None:
    now = host.clock.now()
    with host.database.progress() as session:
        logs.append(session, [NewLine(job, attempt, "Built", "out", now, text) for text in texts])


def _events(host: Host, path: Path) -> tuple[int, float]:
    """How many were lost or heard twice, by all of them, each of whom breaks off once."""
    ready = threading.Barrier(SUBSCRIBERS + 1)

    def hear(number: int) -> list[int]:
        found: list[int] = []
        last, is_first = "0", True
        for upto in (1 + number, EVENTS):
            with closing(Local(path)) as listens:
                listens.request(
                    "GET", "/v1/events/live?kind=bench", headers={"Last-Event-ID": last}
                )
                told = listens.getresponse()
                if is_first:
                    ready.wait()
                is_first = False
                for data in _told(told.readline, upto - len(found)):
                    one = json.loads(data)
                    found.append(one["data"]["n"])
                    last = str(one["seq"])
        return found

    with ThreadPoolExecutor(SUBSCRIBERS) as subscribers:
        heard = [subscribers.submit(hear, number) for number in range(SUBSCRIBERS)]
        ready.wait()
        began = time.perf_counter()
        for number in range(EVENTS):
            with host.database.write() as session:
                said = NewEvent(host.clock.now(), "bench", host.node, data={"n": number})
                events.tell(session, said)
        lost = sum(one.result() != list(range(EVENTS)) for one in heard)
        return lost, time.perf_counter() - began


def _long(host: Host, path: Path, job: JobId, attempt: int, megabytes: int) -> Iterator[Row]:
    """A log at its bound, read whole: page by page, and as a stream."""
    with host.database.read() as session:
        first = max((line.seq for line in logs.tail(session, job, 1)), default=0)
    for _ in range(megabytes):
        _write(host, job, attempt, [TEXT] * PIECE)
    for way, read in (("pages", _paged), ("stream", _streamed)):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _peak()
        began = time.perf_counter()
        assert read(path, job, first, megabytes * PIECE) == megabytes * PIECE
        took, more = time.perf_counter() - began, max(0, _peak() - before) / 1e6
        name = f"log of {megabytes} MB as {way}"
        yield Row(f"{name}", "hive", round(took, 2), "s")
        yield Row(f"{name}: more memory", "hive", round(more, 1), "MB")


def _paged(path: Path, job: JobId, after: int, _: int) -> int:
    count, following = 0, str(after)
    while following is not None:
        with closing(Local(path)) as asks:
            asks.request("GET", f"/v1/jobs/{job}/logs?after={following}")
            page = json.loads(asks.getresponse().read())
        count += len(page["items"])
        following = page["next"]
    return count


def _streamed(path: Path, job: JobId, after: int, count: int) -> int:
    with closing(Local(path)) as listens:
        listens.request("GET", f"/v1/jobs/{job}/logs/live?after={after}")
        told = listens.getresponse()
        return sum(1 for _ in _told(told.readline, count))


def _peak() -> int:
    """Of this process, in which the API is a thread, and who asks as well."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    )  # fmt: skip
    return int(line.split()[1]) * 1024
