from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from hive.domain.job import JobId
from hive.errors import Fault, HiveError, Refused, Transient
from hive.store import jobs, migrate
from hive.store.session import Database, open_database
from tests.contract.store_samples import a_job, at_once

NOBODY = 65534
SECRET = "hunter2"


def ids(database: Database) -> list[JobId]:
    with database.read() as session:
        return [job.id for job in jobs.listed(session)]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused_by(url: str) -> HiveError:
    """What using a database says."""
    with pytest.raises(HiveError) as raised:
        database = open_database(url)
        try:
            with database.write() as session:
                session.execute(text("SELECT 1"))
        finally:
            database.dispose()
    return raised.value


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write anywhere, so for a while we are somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that anybody can reach; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_what_was_written_is_there_and_what_failed_is_not(database: Database) -> None:
    with database.write() as session:
        kept = a_job(session)
    with pytest.raises(KeyboardInterrupt), database.write() as session:
        a_job(session)
        raise KeyboardInterrupt
    assert ids(database) == [kept.id]


def test_a_read_sees_one_moment_and_holds_up_no_writer(database: Database) -> None:
    with database.read() as session:
        assert jobs.listed(session) == []
        with database.write() as writing:
            kept = a_job(writing)
    assert ids(database) == [kept.id]


def test_a_write_in_a_read_is_a_fault_and_changes_nothing(database: Database) -> None:
    with pytest.raises(Fault), database.read() as session:
        a_job(session)
    assert ids(database) == []
    with database.write() as session:
        a_job(session)


def test_each_transaction_is_as_durable_as_it_says(database: Database) -> None:
    ask, full, less = {
        "sqlite": ("PRAGMA synchronous", 2, 1),
        "postgresql": ("SHOW synchronous_commit", "on", "off"),
    }[database.dialect]
    for _ in range(2):  # one pool serves both, in turn
        with database.progress() as session:
            assert session.scalar(text(ask)) == less
        with database.write() as session:
            assert session.scalar(text(ask)) == full


def test_writers_wait_for_each_other_without_an_error(database: Database) -> None:
    def write(_: int) -> None:
        for _turn in range(10):
            with database.write() as session:
                before = jobs.highest(session)
                assert a_job(session).id > before

    at_once(8, write)
    assert len(ids(database)) == 50  # as many as are listed
    with database.read() as session:
        assert jobs.highest(session) == 80


def test_a_refused_row_that_nobody_expected_is_a_fault(database: Database) -> None:
    with pytest.raises(Fault) as raised, database.write() as session:
        a_job(session)
        session.execute(text("INSERT INTO agents (node) VALUES ('here')"))
    assert isinstance(raised.value.__cause__, IntegrityError)
    assert ids(database) == []


def test_a_mistake_in_our_sql_is_a_fault(database: Database) -> None:
    with pytest.raises(Fault) as raised, database.read() as session:
        session.execute(text("SELEKT"))
    assert raised.value.code == "database-fault"


def test_opening_touches_nothing(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/a/b.sqlite").dispose()
    open_database(f"postgresql://hive:{SECRET}@nowhere.invalid/hive").dispose()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hive.sqlite",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u@h/d",
        f"postgresql://hive:{SECRET}@",
        f"postgresql://hive:{SECRET}@{SECRET}@host/hive",
        f"postgresql://hive:{SECRET}@host:port/hive",
        f"postgresql+nothing://hive:{SECRET}@host/hive",
    ],
)
def test_what_is_no_database_is_refused_without_its_password(url: str) -> None:
    error = refused_by(url)
    assert SECRET not in f"{error.message} {error.hint} {error.__cause__}"
    assert error.code in ("bad-database-url", "database-unavailable")
    assert error.hint


def test_a_server_that_cannot_be_reached_is_transient_and_keeps_the_password() -> None:
    error = refused_by(f"postgres://hive:{SECRET}@127.0.0.1:1/hive?password={SECRET}")
    assert isinstance(error, Transient)
    assert error.code == "database-unavailable"
    assert "PostgreSQL 'hive' at 127.0.0.1:1" in error.message
    assert SECRET not in f"{error.message} {error.hint} {error.__cause__!r}"
    assert "\n" not in error.message


def test_every_spelling_of_postgres_is_psycopg(migrated_postgres_url: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        database = open_database(f"{scheme}:{migrated_postgres_url.partition(':')[2]}")
        with database.read() as session:
            assert session.scalar(text("SHOW statement_timeout")) == "10s"
        assert (database.dialect, database.engine.driver) == ("postgresql", "psycopg")
        database.dispose()


def test_a_statement_past_its_deadline_is_transient(migrated_postgres_url: str) -> None:
    database = open_database(migrated_postgres_url)
    with pytest.raises(Transient) as raised, database.read() as session:
        session.execute(text("SET LOCAL statement_timeout = '10ms'"))
        session.execute(text("SELECT pg_sleep(60)"))
    assert raised.value.code == "database-unavailable"
    database.dispose()


def test_a_connection_that_the_server_ended_is_replaced(migrated_postgres_url: str) -> None:
    database = open_database(migrated_postgres_url)
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    )
    with pytest.raises(Transient) as raised, database.read() as session:
        session.execute(text(end))
    assert raised.value.code == "database-unavailable"
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.dispose()


def test_the_file_of_sqlite_and_its_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "state" / "hive.sqlite"
    before = os.umask(0)
    try:
        database = open_database(f"sqlite:///{path}")
        migrate.upgrade(database)
        with database.write() as session:
            a_job(session)
            modes = {file.name: mode_of(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    names = ("hive.sqlite", "hive.sqlite-shm", "hive.sqlite-wal")
    assert modes == dict.fromkeys(names, 0o600)
    assert mode_of(path.parent) == 0o700
    database.dispose()


def test_a_relative_path_and_a_home_are_found_wherever_we_go_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    near, home = open_database("sqlite:///near.sqlite"), open_database("sqlite:///~/hive.sqlite")
    monkeypatch.chdir("/")
    assert near.path == tmp_path / "near.sqlite"
    assert home.path == tmp_path / "home" / "hive.sqlite"
    for database in (near, home):
        migrate.upgrade(database)
        assert database.path is not None
        assert database.path.exists()
        database.dispose()


def test_a_new_file_in_a_folder_that_cannot_be_written_is_refused(reachable: Path) -> None:
    reachable.chmod(0o555)
    with unprivileged():
        error = refused_by(f"sqlite:///{reachable}/state/hive.sqlite")
    assert isinstance(error, Refused)
    assert error.code == "state-not-writable"
    assert str(reachable) in error.message
    assert error.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file and then be another")
def test_a_file_that_cannot_be_written_is_refused(reachable: Path) -> None:
    database = open_database(f"sqlite:///{reachable}/hive.sqlite")
    migrate.upgrade(database)
    database.dispose()
    for mode in (0o644, 0o600):
        (reachable / "hive.sqlite").chmod(mode)
        with unprivileged():
            error = refused_by(f"sqlite:///{reachable}/hive.sqlite")
        assert isinstance(error, Refused)
        assert error.code == "state-not-writable"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused_by(f"sqlite:///{tmp_path}/file/hive.sqlite").code == "state-not-writable"
    assert refused_by(f"sqlite:///{tmp_path}").code == "state-not-writable"


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "hive.sqlite").write_text("dear diary, " * 100)
    error = refused_by(f"sqlite:///{tmp_path}/hive.sqlite")
    assert error.code == "database-unavailable"
    assert "not a database" in error.message
    assert "backup" in error.hint


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/hive.sqlite")
    migrate.upgrade(database)
    yield database
    database.dispose()


def test_a_statement_makes_no_file_of_its_own(on_sqlite: Database) -> None:
    """Seen: a submit and a claim each made one in /var/tmp, and removed it."""
    with on_sqlite.write() as session:
        assert session.scalar(text("PRAGMA temp_store")) == 2  # in memory


def set_pragma(database: Database, pragma: str) -> None:
    """On every connection from now on."""
    database.dispose()

    @event.listens_for(database.engine, "connect")
    def _set(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def test_a_full_disk_is_transient_and_what_was_accepted_is_kept(on_sqlite: Database) -> None:
    with on_sqlite.write() as session:
        kept = a_job(session)
        pages = session.scalar(text("PRAGMA page_count"))
    set_pragma(on_sqlite, f"max_page_count={pages}")

    with pytest.raises(Transient) as raised, on_sqlite.write() as session:
        a_job(session, requested_by="x" * 1_000_000)

    assert raised.value.code == "database-full"
    assert raised.value.hint
    assert ids(on_sqlite) == [kept.id]


def test_a_database_that_another_holds_for_too_long_is_transient(on_sqlite: Database) -> None:
    set_pragma(on_sqlite, "busy_timeout=1")
    with closing(sqlite3.connect(f"{on_sqlite.path}", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ids(on_sqlite) == []
        with pytest.raises(Transient) as raised, on_sqlite.write() as session:
            a_job(session)
    assert raised.value.code == "database-unavailable"
    assert "locked" in raised.value.message
    assert "another process" in raised.value.hint


def test_the_settings_of_sqlite_are_as_measured(on_sqlite: Database) -> None:
    with on_sqlite.write() as session:
        said = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert said == {
        "journal_mode": "wal", "busy_timeout": 30_000, "foreign_keys": 1, "synchronous": 2,
    }  # fmt: skip


def test_a_file_that_another_thread_opens_keeps_its_locks(on_sqlite: Database) -> None:
    """A closed descriptor drops every lock of its process on the file: a trap of POSIX."""
    url = f"sqlite:///{on_sqlite.path}"
    with on_sqlite.write() as session:
        a_job(session)
        other = open_database(url)
        thread = Thread(target=ids, args=(other,))
        thread.start()
        thread.join()
        other.dispose()
        stranger = sqlite3.connect(f"{on_sqlite.path}", timeout=0)
        with closing(stranger), pytest.raises(sqlite3.OperationalError, match="locked"):
            stranger.execute("BEGIN IMMEDIATE")
