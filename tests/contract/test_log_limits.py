"""A job's log through its writer: bounded, told where it has holes, and never in the job's way."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, cast

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.domain.job import JobId, LogLine
from hive.errors import Transient
from hive.queue import lines as queue_lines
from hive.queue.lines import LineWriter
from hive.store import logs
from hive.store.logs import CUT, OVERHEAD, PIECES, Extent, NewLine
from hive.store.session import Database, Session
from tests.contract.store_samples import NOW, a_job, at_once

LIMIT: Final = 10_000
SOON: Final = timedelta(seconds=60)
OFTEN: Final = timedelta(milliseconds=5)
SIZE: Final = len("line 0000") + OVERHEAD


@pytest.fixture
def job(database: Database) -> JobId:
    with database.write() as session:
        return a_job(session).id


@pytest.fixture
def writer(database: Database, job: JobId) -> Iterator[LineWriter]:
    """Of a first attempt, under a small limit."""
    writer = LineWriter(database, job, attempt=1, limit=LIMIT)
    yield writer
    writer.close()


def until(condition: Callable[[], object]) -> None:
    assert wait_until(SystemClock(), lambda: bool(condition()), SOON, OFTEN)


def a_line(job: JobId, words: str, attempt: int = 1) -> NewLine:
    return NewLine(job, attempt, "Built", "out", NOW, words)


def write(writer: LineWriter, job: JobId, numbers: range, attempt: int = 1) -> None:
    """So many numbered lines, in one flush."""
    for number in numbers:
        writer.add(a_line(job, f"line {number:04}", attempt))
    writer.flush()


def by_twenty(count: int) -> list[range]:
    return [range(first, first + 20) for first in range(0, count, 20)]


def log_of(database: Database, job: JobId) -> list[LogLine]:
    with database.read() as session:
        return logs.of(session, job, limit=1_000_000)


def size_of(lines: list[LogLine]) -> int:
    return sum(len(line.text.encode()) + OVERHEAD for line in lines)


def number(line: LogLine) -> int:
    return int(line.text.removeprefix("line "))


def missing(line: LogLine) -> int:
    """How many lines it stands for."""
    assert (line.stream, line.step) == (CUT, "")
    found = re.match(r"(\d+) lines? ", line.text)
    assert found
    return int(found[1])


def halves(lines: list[LogLine]) -> tuple[list[int], LogLine, list[int]]:
    """The numbers before the cut, the line that says it, and the numbers behind it."""
    (at,) = (place for place, line in enumerate(lines) if line.stream == CUT)
    return list(map(number, lines[:at])), lines[at], list(map(number, lines[at + 1 :]))


@dataclass
class Follower:
    """Reads as `hive logs -f` does: on from the last number that it saw."""

    database: Database
    job: JobId
    page: int
    seen: list[LogLine] = field(default_factory=list)

    def look(self) -> bool:
        """One page; whether there was anything on it."""
        after = self.seen[-1].seq if self.seen else 0
        with self.database.read() as session:
            lines = logs.of(session, self.job, after=after, limit=self.page)
        assert [line.seq for line in lines] == sorted({line.seq for line in lines})
        assert all(line.seq > after for line in lines)
        self.seen += lines
        return bool(lines)

    def catch_up(self) -> None:
        while self.look():
            pass

    def check(self, last: int) -> None:
        """No line is doubled or out of order, and none is missing that is not told."""
        expected, is_told = 0, False
        for line in self.seen:
            if line.stream == CUT:
                is_told = True
                continue
            assert number(line) == expected or (is_told and number(line) > expected)
            expected, is_told = number(line) + 1, False
        assert expected == last + 1


@dataclass
class Moody:
    """A database that takes no lines while it is told not to."""

    database: Database
    takes: bool = False
    loses_answers: bool = False
    asked: int = 0

    @contextmanager
    def progress(self) -> Iterator[Session]:
        self.asked += 1
        if not self.takes:
            raise Transient("it is away")
        with self.database.progress() as session:
            yield session
        if self.asked % 3 == 0 and self.loses_answers:
            raise Transient("it went away after the commit")


# The limit


def test_a_log_within_its_limit_is_all_there(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    for numbers in by_twenty(LIMIT // SIZE // 20 * 20):
        write(writer, job, numbers)
    assert [number(line) for line in log_of(database, job)] == list(range(LIMIT // SIZE // 20 * 20))


def test_of_a_log_over_its_limit_the_head_and_the_tail_are_kept_and_the_cut_is_said(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    for numbers in by_twenty(1000):
        write(writer, job, numbers)
    head, cut, tail = halves(log_of(database, job))
    assert head == list(range(LIMIT // 2 // SIZE))
    assert tail == list(range(tail[0], 1000))
    assert len(tail) * SIZE > LIMIT // 2 - LIMIT // PIECES - 21 * SIZE
    gone = 1000 - len(head) - len(tail)
    size = f"{round(gone * SIZE / 1000, 1):g} kB"
    assert cut.text == f"{gone} lines ({size}) cut here: a job's log keeps 10 kB"


def test_no_reader_ever_sees_more_than_the_limit(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    for numbers in by_twenty(600):
        write(writer, job, numbers)
        lines = log_of(database, job)
        assert size_of(lines) <= LIMIT
        gone = sum(missing(line) for line in lines if line.stream == CUT)
        assert gone + sum(line.stream != CUT for line in lines) == numbers.stop


def test_a_line_that_is_longer_than_all_that_may_be_kept_is_counted_as_cut(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    write(writer, job, range(3))
    writer.add(a_line(job, "x" * 2 * LIMIT))
    writer.flush()
    write(writer, job, range(3, 6))
    head, cut, tail = halves(log_of(database, job))
    assert (head, missing(cut), tail) == ([0, 1, 2], 1, [3, 4, 5])


def test_the_last_lines_show_the_cut_where_it_is_among_them(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    for numbers in by_twenty(400):
        write(writer, job, numbers)
    head, cut, tail = halves(log_of(database, job))
    with database.read() as session:
        assert list(map(number, logs.tail(session, job, len(tail)))) == tail
        assert logs.tail(session, job, len(tail) + 1)[0] == cut
        assert number(logs.tail(session, job, len(tail) + 2)[0]) == head[-1]


@pytest.mark.parametrize("first", [20, 80, 100, 400], ids="{} lines before".format)
def test_a_later_attempt_goes_on_under_the_same_limit(
    database: Database, job: JobId, writer: LineWriter, first: int
) -> None:
    """As if one attempt had written it all."""
    with database.write() as session:
        other = a_job(session, lock="another").id
    alone = LineWriter(database, other, attempt=1, limit=LIMIT)
    again = LineWriter(database, job, attempt=2, limit=LIMIT)
    for numbers in by_twenty(800):
        write(alone, other, numbers)
        write(writer if numbers.stop <= first else again, job, numbers)
    alone.close()
    again.close()
    assert [line.text for line in log_of(database, job)] == [
        line.text for line in log_of(database, other)
    ]


# Who reads it meanwhile


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_a_follower_that_keeps_up_sees_every_line_and_no_cut(
    database: Database, job: JobId, writer: LineWriter, page: int
) -> None:
    follower = Follower(database, job, page)
    for numbers in by_twenty(400):
        write(writer, job, numbers)
        follower.catch_up()
    assert list(map(number, follower.seen)) == list(range(400))


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_who_comes_after_the_cut_sees_it_once(
    database: Database, job: JobId, writer: LineWriter, page: int
) -> None:
    for numbers in by_twenty(400):
        write(writer, job, numbers)
    follower = Follower(database, job, page)
    follower.catch_up()
    follower.check(last=399)
    assert follower.seen == log_of(database, job)
    assert sum(line.stream == CUT for line in follower.seen) == 1


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_a_follower_that_falls_behind_is_told_of_each_hole(
    database: Database, job: JobId, writer: LineWriter, page: int
) -> None:
    follower = Follower(database, job, page)
    for numbers in by_twenty(400):
        write(writer, job, numbers)
        follower.look()
    follower.catch_up()
    follower.check(last=399)


@pytest.mark.parametrize("page", [1, 7, 1000])
def test_a_follower_beside_the_writer_loses_nothing_untold(
    database: Database, job: JobId, writer: LineWriter, page: int
) -> None:
    follower, is_over = Follower(database, job, page), threading.Event()

    def act(who: int) -> None:
        if who == 0:
            for numbers in by_twenty(1000):
                write(writer, job, numbers)
            is_over.set()
        while who == 1 and not is_over.is_set():
            follower.look()

    at_once(2, act)
    follower.catch_up()
    follower.check(last=999)


def test_two_attempts_that_overlap_hide_no_line_from_a_follower(
    database: Database, job: JobId
) -> None:
    """The numbers of one log are committed in their order, whoever writes."""
    follower, over = Follower(database, job, 1000), {1: threading.Event(), 2: threading.Event()}

    def act(who: int) -> None:
        while who == 0 and not all(one.is_set() for one in over.values()):
            follower.look()
        if who == 0:
            return
        for _ in range(60):
            lines = [a_line(job, "a line", attempt=who)] * (200 if who == 1 else 1)
            with database.progress() as session:
                logs.extend(session, job, lines, there=Extent(), limit=10**9)
        over[who].set()

    at_once(3, act)
    follower.catch_up()
    assert follower.seen == log_of(database, job)


# A database that does not keep up, or is away


def test_two_hundred_thousand_lines_are_there_in_order_or_told_to_be_missing(
    database: Database, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the machine is: for a worker that ends, `close` has less patience than this."""
    monkeypatch.setattr(queue_lines, "PATIENCE", timedelta(minutes=10))
    writer = LineWriter(database, job, attempt=1)
    for count in range(200_000):
        writer.add(a_line(job, f"line {count}"))
    writer.close()
    expected = 0
    for line in log_of(database, job):
        if line.stream == CUT:
            expected += missing(line)
        else:
            assert number(line) == expected
            expected += 1
    assert expected == 200_000


def test_lines_wait_for_a_database_that_is_away(database: Database, job: JobId) -> None:
    moody = Moody(database)
    writer = LineWriter(cast(Database, moody), job, attempt=1, limit=LIMIT)
    write(writer, job, range(1))
    write(writer, job, range(1, 2))
    moody.takes = True
    until(lambda: len(log_of(database, job)) == 2)
    write(writer, job, range(2, 3))
    writer.close()
    assert list(map(number, log_of(database, job))) == [0, 1, 2]


def test_while_the_database_is_away_the_oldest_lines_are_dropped_and_the_log_says_so(
    database: Database, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_lines, "HELD", 100)
    moody = Moody(database, takes=True)
    writer = LineWriter(cast(Database, moody), job, attempt=1)
    write(writer, job, range(3))
    moody.takes = False
    write(writer, job, range(3, 150))
    write(writer, job, range(150, 153))
    moody.takes = True
    writer.close()
    head, cut, tail = halves(log_of(database, job))
    assert (head, missing(cut), tail) == ([0, 1, 2], 50, list(range(53, 153)))
    assert cut.text == "50 lines missing here: the database did not take them in time"


def test_long_lines_are_dropped_before_they_fill_the_memory(
    database: Database, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_lines, "HELD_BYTES", 10 * SIZE)
    moody = Moody(database)
    writer = LineWriter(cast(Database, moody), job, attempt=1)
    write(writer, job, range(11))
    moody.takes = True
    writer.close()
    head, cut, tail = halves(log_of(database, job))
    assert (head, missing(cut), tail) == ([], 1, list(range(1, 11)))


def test_what_is_dropped_while_lines_are_on_their_way_has_its_place_behind_them(
    database: Database, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_lines, "HELD", 10)
    for takes in (True, False):
        stuck = Stuck(database, refuses=not takes)
        writer = LineWriter(cast(Database, stuck), job, attempt=1)
        writer.add(a_line(job, "line 0"))
        assert stuck.is_asked.wait(SOON.total_seconds())
        for count in range(1, 16):
            writer.add(a_line(job, f"line {count}"))
        stuck.goes_on.set()
        writer.close()
    lines = log_of(database, job)
    first, second = lines[:12], lines[12:]
    assert halves(first)[::2] == ([0], list(range(6, 16)))
    assert missing(first[1]) == 5
    assert halves(second)[::2] == ([], list(range(6, 16)))
    assert missing(second[0]) == 6


def test_what_was_never_written_is_told_where_the_worker_logs(
    database: Database, job: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    writer = LineWriter(cast(Database, Moody(database)), job, attempt=1)
    write(writer, job, range(3))
    writer.close()
    writer.add(a_line(job, "too late"))
    assert f"lines.lost count=3 job={job}" in caplog.text
    assert f"lines.lost count=1 job={job}" in caplog.text
    assert caplog.text.count("lines.kept") == 1
    assert log_of(database, job) == []


def test_an_answer_that_is_lost_may_double_lines_but_not_the_log(
    database: Database, job: JobId
) -> None:
    moody = Moody(database, takes=True, loses_answers=True)
    writer = LineWriter(cast(Database, moody), job, attempt=1, limit=LIMIT)
    for numbers in by_twenty(600):
        write(writer, job, numbers)
        assert size_of(log_of(database, job)) <= LIMIT
    writer.close()
    _, _, tail = halves(log_of(database, job))
    assert sorted(set(tail)) == list(range(tail[0], 600))


@dataclass
class Stuck:
    """A database that answers its first question when it is told to, and not before."""

    database: Database
    refuses: bool = False
    is_asked: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def progress(self) -> Iterator[Session]:
        is_first = not self.is_asked.is_set()
        self.is_asked.set()
        assert self.goes_on.wait(SOON.total_seconds())
        if is_first and self.refuses:
            raise Transient("it is away")
        with self.database.progress() as session:
            yield session


def test_nobody_waits_for_a_database_that_hangs(
    database: Database,
    job: JobId,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_lines, "PATIENCE", timedelta(milliseconds=20))
    stuck = Stuck(database)
    writer = LineWriter(cast(Database, stuck), job, attempt=1)
    write(writer, job, range(2))
    writer.close()
    assert "lines.lost count=2" in caplog.text
    assert log_of(database, job) == []
    stuck.goes_on.set()
    until(lambda: len(log_of(database, job)) == 2)


def test_a_flush_is_over_when_its_lines_were_on_their_way_already(
    database: Database, job: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_lines, "PATIENCE", 10 * SOON)
    stuck = Stuck(database)
    writer = LineWriter(cast(Database, stuck), job, attempt=1)
    writer.add(a_line(job, "line 0"))
    assert stuck.is_asked.wait(SOON.total_seconds())
    flush = threading.Thread(target=writer.flush, daemon=True)
    flush.start()
    until(lambda: writer._asked)  # as nothing else tells that it waits
    stuck.goes_on.set()
    until(lambda: not flush.is_alive())
    assert len(log_of(database, job)) == 1
    writer.close()


def test_whatever_goes_wrong_is_not_raised_into_the_job(
    database: Database, job: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    writer = LineWriter(database, JobId(job + 1), attempt=1)
    writer.add(a_line(JobId(job + 1), "of a job that is not there"))
    writer.flush()
    writer.close()
    assert "lines.lost count=1" in caplog.text


# Without lines


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_job_that_says_nothing_starts_no_thread_and_asks_no_database(
    database: Database, job: JobId, attempt: int
) -> None:
    moody, before = Moody(database), set(threading.enumerate())
    writer = LineWriter(cast(Database, moody), job, attempt=attempt)
    writer.flush()
    assert set(threading.enumerate()) <= before
    writer.close()
    assert moody.asked == 0


def test_the_thread_ends_with_the_writer(database: Database, job: JobId) -> None:
    before = set(threading.enumerate())
    writer = LineWriter(database, job, attempt=1)
    write(writer, job, range(1))
    (thread,) = set(threading.enumerate()) - before
    writer.close()
    assert not thread.is_alive()


def test_a_flush_with_nothing_to_write_asks_no_database(database: Database, job: JobId) -> None:
    moody = Moody(database, takes=True)
    writer = LineWriter(cast(Database, moody), job, attempt=1)
    write(writer, job, range(1))
    writer.flush()
    writer.close()
    assert moody.asked == 1


def test_lines_are_written_without_a_flush(
    database: Database, job: JobId, writer: LineWriter
) -> None:
    writer.add(a_line(job, "line 0"))
    until(lambda: log_of(database, job))


def test_lines_of_many_threads_are_all_written_each_threads_in_order(
    database: Database, job: JobId
) -> None:
    writer = LineWriter(database, job, attempt=1)

    def tell(who: int) -> None:
        for count in range(500):
            writer.add(a_line(job, f"{who} {count}"))

    at_once(4, tell)
    writer.close()
    written = [line.text for line in log_of(database, job)]
    for who in range(4):
        mine = [line for line in written if line.startswith(f"{who} ")]
        assert mine == [f"{who} {count}" for count in range(500)]
