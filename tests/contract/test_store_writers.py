"""Writers of one process on SQLite: one after the other, and those that wait share one commit."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import Connection as Sql
from sqlalchemy import event, text

from hive.adapters.clock import SystemClock, wait_until
from hive.errors import Fault, Refused, Transient
from hive.store import jobs, migrate, writers
from hive.store.session import Database, Session, open_database
from tests.contract.store_samples import a_job, at_once
from tests.forks import FORKS

SOON = timedelta(seconds=10)
Write = Callable[[Session], object]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/hive.sqlite")
    migrate.upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def commits(database: Database) -> list[str]:
    """The mode of each that was made."""
    made: list[str] = []

    @event.listens_for(database.engine, "commit")
    def _note(connection: Sql) -> None:
        made.append(str(connection.get_execution_options()["mode"]))

    return made


def asked_by(database: Database) -> list[str]:
    """Who asked for the jobs that are there, oldest first."""
    with database.read() as session:
        return [job.requested_by for job in reversed(jobs.listed(session))]


def asks(name: str) -> Write:
    return lambda session: a_job(session, requested_by=name)


class Queue:
    """One writer that holds the others up; they come one by one, and wait in that order."""

    def __init__(self, database: Database, threads: ThreadPoolExecutor) -> None:
        self._database, self._threads = database, threads
        self._held, self._let_go = threading.Event(), threading.Event()
        self.first = self._begun(self._hold, progress=False)
        assert self._held.wait(SOON.total_seconds())

    def comes(self, write: Write, *, progress: bool = False) -> Future[object]:
        waiting = len(self._waiting)
        future = self._begun(write, progress=progress)
        self._until(lambda: len(self._waiting) == waiting + 1 or future.done())
        return future

    def goes(self) -> None:
        self._let_go.set()

    def _begun(self, write: Write, *, progress: bool) -> Future[object]:
        begins = self._database.progress if progress else self._database.write

        def run() -> object:
            with begins() as session:
                return write(session)

        return self._threads.submit(run)

    @property
    def _waiting(self) -> list[object]:
        return list(self._database.writers._waiting)  # type: ignore[union-attr]

    def _hold(self, session: Session) -> None:
        a_job(session, requested_by="first")
        self._held.set()
        assert self._let_go.wait(SOON.total_seconds())

    def _until(self, is_so: Callable[[], bool]) -> None:
        assert wait_until(SystemClock(), is_so, SOON, SOON / 10_000)


@pytest.fixture
def queue(database: Database) -> Iterator[Queue]:
    with ThreadPoolExecutor(40) as threads:
        queue = Queue(database, threads)
        yield queue
        queue.goes()


def test_one_that_nobody_waits_for_commits_at_once(database: Database, commits: list[str]) -> None:
    for _ in range(3):
        with database.write() as session:
            a_job(session)
    assert commits == ["write"] * 3


def test_those_that_wait_share_one_commit_in_the_order_in_which_they_came(
    database: Database, queue: Queue, commits: list[str]
) -> None:
    names = [f"w{number}" for number in range(6)]
    ends = [queue.comes(asks(name)) for name in names]
    queue.goes()
    for end in (queue.first, *ends):
        end.result()
    assert asked_by(database) == ["first", *names]
    assert commits == ["write"]


def test_nobody_is_told_before_it_is_committed_and_nobody_reads_it(
    database: Database, queue: Queue
) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold(_: Session) -> None:
        held.set()
        assert let_go.wait(SOON.total_seconds())

    last = queue.comes(hold)
    queue.goes()
    assert held.wait(SOON.total_seconds())
    assert not queue.first.done()
    assert asked_by(database) == []
    let_go.set()
    queue.first.result()
    assert asked_by(database) == ["first"]
    last.result()


def test_one_that_fails_undoes_its_own_part_and_no_other(
    database: Database, queue: Queue, commits: list[str]
) -> None:
    def fails(session: Session) -> None:
        a_job(session, requested_by="fails")
        raise Refused("no", code="no", hint="no")

    def is_wrong(session: Session) -> None:
        a_job(session, requested_by="is wrong")
        session.execute(text("SELEKT"))

    failed, wrong, kept = queue.comes(fails), queue.comes(is_wrong), queue.comes(asks("kept"))
    queue.goes()
    with pytest.raises(Refused):
        failed.result()
    with pytest.raises(Fault, match="SELEKT"):
        wrong.result()
    kept.result()
    queue.first.result()
    assert asked_by(database) == ["first", "kept"]
    assert commits == ["write"]


def test_of_one_that_only_tries_nothing_stays(database: Database, queue: Queue) -> None:
    def tries() -> None:
        with database.trial() as session:
            a_job(session, requested_by="tries")

    with ThreadPoolExecutor() as threads:
        tried = threads.submit(tries)
        kept = queue.comes(asks("kept"))
        queue.goes()
        tried.result()
    kept.result()
    assert asked_by(database) == ["first", "kept"]


def test_what_is_done_last_is_done_in_each_ones_part(database: Database, queue: Queue) -> None:
    """Events are written right before the end; of one that fails in that, nothing is told."""

    def fails_at_last(session: Session) -> None:
        a_job(session, requested_by="fails")

        def fail(_: Session) -> None:
            raise Refused("no", code="no", hint="no")

        session.before_commit.append(fail)

    failed, kept = queue.comes(fails_at_last), queue.comes(asks("kept"))
    queue.goes()
    with pytest.raises(Refused):
        failed.result()
    kept.result()
    assert asked_by(database) == ["first", "kept"]
    with database.read() as session:
        told = session.scalars(text("SELECT job_id FROM events ORDER BY seq")).all()
        there = session.scalars(text("SELECT id FROM jobs ORDER BY id")).all()
    assert told == there


def test_a_commit_that_fails_is_heard_by_all_of_it(database: Database, queue: Queue) -> None:
    """No constraint of hive's is looked at so late, but a disk may be."""

    def writes_what_cannot_stay(session: Session) -> None:
        session.execute(text("PRAGMA defer_foreign_keys=ON"))
        a_job(session, requested_by="breaks", parent_id=12345)

    ends = [queue.first, queue.comes(writes_what_cannot_stay), queue.comes(asks("last"))]
    queue.goes()
    for end in ends:
        with pytest.raises(Fault, match="FOREIGN KEY"):
            end.result()
    assert asked_by(database) == []
    with database.write() as session:
        a_job(session, requested_by="after")
    assert asked_by(database) == ["after"]


@contextmanager
def no_file_grows(above: int) -> Iterator[None]:
    """What a disk without room does to all files of this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (above, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_commit_is_heard_by_all_of_it(
    database: Database, queue: Queue
) -> None:
    log = Path(f"{database.path}-wal")
    ends = [queue.first, queue.comes(asks("second"))]
    with no_file_grows(log.stat().st_size + 100):
        queue.goes()
        for end in ends:
            with pytest.raises(Transient) as raised:
                end.result()
            assert raised.value.code == "database-unavailable"
    assert asked_by(database) == []
    with database.write() as session:
        a_job(session, requested_by="after")
    assert asked_by(database) == ["after"]


def test_what_undoes_all_is_heard_by_all_and_who_comes_next_begins_anew(
    database: Database, queue: Queue
) -> None:
    """As SQLite does by itself where a statement finds no room, or cannot read."""
    undone = queue.comes(lambda session: session.execute(text("ROLLBACK")))
    kept = queue.comes(asks("kept"))
    queue.goes()
    for end in (queue.first, undone):
        with pytest.raises(Fault, match="no such savepoint"):
            end.result()
    kept.result()
    assert asked_by(database) == ["kept"]


def test_an_interrupt_that_gives_up_the_connection_is_heard_as_one(
    database: Database, queue: Queue
) -> None:
    """SQLAlchemy uses none again whose driver was interrupted; who shared it can try again."""

    def interrupted(session: Session) -> None:
        session._connection.invalidate()
        raise KeyboardInterrupt

    undone, kept = queue.comes(interrupted), queue.comes(asks("kept"))
    queue.goes()
    with pytest.raises(KeyboardInterrupt):
        undone.result()
    with pytest.raises(Transient, match="KeyboardInterrupt"):
        queue.first.result()
    kept.result()
    assert asked_by(database) == ["kept"]


def test_what_must_outlast_a_power_cut_is_in_no_commit_that_need_not(
    queue: Queue, commits: list[str]
) -> None:
    """2 is FULL, 1 is NORMAL."""

    def synchronous(session: Session) -> object:
        return session.scalar(text("PRAGMA synchronous"))

    ends = [queue.comes(synchronous, progress=progress) for progress in (True, False, True, True)]
    queue.goes()
    assert [end.result() for end in ends] == [2, 2, 2, 2]
    assert commits == ["write"]


def test_progress_alone_waits_for_no_disk_and_whoever_needs_it_begins_anew(
    database: Database, commits: list[str]
) -> None:
    held, let_go = threading.Event(), threading.Event()

    def progress() -> None:
        with database.progress():
            held.set()
            assert let_go.wait(SOON.total_seconds())

    def write() -> object:
        with database.write() as session:
            return session.scalar(text("PRAGMA synchronous"))

    with ThreadPoolExecutor() as threads:
        first = threads.submit(progress)
        assert held.wait(SOON.total_seconds())
        second = threads.submit(write)
        let_go.set()
        first.result()
        assert second.result() == 2
    assert commits == ["progress", "write"]


def test_so_many_and_no_more_are_waited_for(
    queue: Queue, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MOST", 3)
    ends = [queue.comes(asks(f"w{number}")) for number in range(4)]
    queue.goes()
    for end in (queue.first, *ends):
        end.result()
    assert commits == ["write", "write"]


def test_who_waits_too_long_is_told_and_holds_nobody_up(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "PATIENCE", 0.05)
    late = queue.comes(asks("late"))
    with pytest.raises(Transient, match="locked") as raised:
        late.result()
    assert raised.value.code == "database-unavailable"
    monkeypatch.undo()
    kept = queue.comes(asks("kept"))
    queue.goes()
    kept.result()
    assert asked_by(database) == ["first", "kept"]


def test_who_cannot_begin_leaves_the_turn_to_the_next(
    database: Database, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MOST", 1)
    refused = iter([True, False])

    @event.listens_for(database.engine, "begin")
    def _refuse(_: Sql) -> None:
        if next(refused):
            raise Refused("no", code="no", hint="no")

    first, second = queue.comes(asks("refused")), queue.comes(asks("second"))
    queue.goes()
    queue.first.result()
    with pytest.raises(Refused):
        first.result()
    second.result()
    event.remove(database.engine, "begin", _refuse)
    assert asked_by(database) == ["first", "second"]


def test_many_that_come_and_fail_as_they_like_are_each_there_or_not(database: Database) -> None:
    def write(number: int) -> None:
        for turn in range(25):
            try:
                with database.write() as session:
                    a_job(session, requested_by=f"{number}", ask={"turn": turn})
                    if turn % 5 == number % 5:
                        raise Refused("no", code="no", hint="no")
            except Refused:
                pass

    at_once(8, write)
    with database.read() as session:
        there = [(job.requested_by, job.ask["turn"]) for job in jobs.live(session)]
    wanted = [(f"{n}", turn) for n in range(8) for turn in range(25) if turn % 5 != n % 5]
    assert sorted(there) == sorted(wanted)
    for number in range(8):
        turns = [turn for name, turn in there if name == f"{number}"]
        assert turns == sorted(turns)


def writes_and_tells(url: str, told: Connection[str, str]) -> None:
    """In a process of its own: each number is told when its `write` has returned, not before."""
    database, one_tells = open_database(url), threading.Lock()

    def write(_: int) -> None:
        while True:
            with database.write() as session:
                job = a_job(session)
            with one_tells:
                told.send(f"{job.id}")

    at_once(8, write)


def test_of_a_process_that_is_killed_all_that_was_told_is_there(database: Database) -> None:
    told: list[int] = []
    for turn in range(1, 4):
        heard, tells = FORKS.Pipe(duplex=False)
        args = (f"sqlite:///{database.path}", tells)
        process = FORKS.Process(target=writes_and_tells, args=args)
        process.start()
        tells.close()
        with closing(heard), suppress(EOFError):
            for number in count():
                if number == 40 * turn:
                    process.kill()
                told.append(int(heard.recv()))
        process.join()
    with database.read() as session:
        there = set(session.scalars(text("SELECT id FROM jobs")))
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    assert len(told) == len(set(told)) > 200
    assert set(told) <= there
    assert len(there) <= len(told) + 3 * 8
