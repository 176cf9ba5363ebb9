"""A host lock lives as long as any process of its job, and an orphan's can be freed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.locks import Holder, Lock, Locks, end_orphans, holder, is_alive
from hive.adapters.processes import end_session, start_of
from hive.adapters.shell import LocalShell, Stream
from hive.errors import CommandFailed, Transient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
SOON = timedelta(seconds=20)
OFTEN = timedelta(milliseconds=5)

#: Takes the lock, and starts a program whose child works on for long.
WORKER = """
import sys
from pathlib import Path
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell

locks = Locks()
lock = locks.take(Path(sys.argv[1]), note_children=True, about="job 7")
shell = LocalShell({"PATH": sys.argv[2]}, tell=lambda _, line: print(line, flush=True), locks=locks)
shell.run("sh", "-c", sys.argv[3])
"""

IN_A_GROUP_OF_ITS_OWN = (
    f"{sys.executable} -c "
    "'import os, signal; os.setpgid(0, 0); print(os.getpid(), flush=True); signal.pause()'"
)


@dataclasses.dataclass(frozen=True)
class Orphan:
    pid: int
    started: str | None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "agent-alice"


def take(path: Path) -> Lock:
    """Without anyone to contend with."""
    lock = Locks().take(path, note_children=True)
    assert lock is not None
    return lock


def soon_taken(path: Path) -> Lock:
    """When what was killed is gone."""
    lock = wait_until(SystemClock(), lambda: Locks().take(path, note_children=True), SOON, OFTEN)
    assert lock is not None
    return lock


def orphan_of_a_killed_worker(path: Path, script: str) -> Orphan:
    """What is left of a worker that is killed once its program has told the pid of its child."""
    orphans: list[Orphan] = []

    def tell(stream: Stream, line: str) -> None:
        if stream is Stream.OUT and line.isdecimal():
            found = holder(path)
            assert found is not None
            orphans.append(Orphan(int(line), start_of(int(line))))
            os.kill(found.worker_pid, signal.SIGKILL)

    shell = LocalShell(ENVIRONMENT, tell=tell)
    with pytest.raises(CommandFailed):
        shell.run(sys.executable, "-c", WORKER, path, os.environ["PATH"], script)
    return orphans[0]


def write(path: Path, **facts: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts))


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[int]:
    """A session with a life of its own, whose leader is gone, as a daemon's is."""
    shell = LocalShell(ENVIRONMENT)
    pid = int(shell.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").out)
    session = os.getsid(pid)
    yield session
    end_session(session)


def test_a_lock_is_held_once(path: Path) -> None:
    with take(path):
        assert Locks().take(path, note_children=True) is None


def test_even_its_own_holder_finds_it_busy(path: Path) -> None:
    locks = Locks()
    lock = locks.take(path, note_children=False)
    assert locks.take(path, note_children=False) is None
    assert lock is not None
    lock.release()


def test_a_released_lock_is_free_and_its_file_stays_empty(path: Path) -> None:
    take(path).release()
    assert path.read_bytes() == b""
    assert holder(path) is None
    take(path).release()


def test_release_twice_is_once(path: Path) -> None:
    lock = take(path)
    lock.release()
    with take(path):
        lock.release()
        assert Locks().take(path, note_children=True) is None


def test_what_is_held_is_listed_until_it_is_released(path: Path) -> None:
    locks = Locks()
    lock = locks.take(path, note_children=True)
    assert lock is not None
    assert list(locks.held) == [lock]
    assert len(locks.descriptors()) == 1
    lock.release()
    assert not locks.held
    assert not locks.descriptors()


def test_folder_and_file_are_for_their_owner_alone(path: Path) -> None:
    deep = path.parent / "deep" / "er"
    with take(deep):
        assert stat.S_IMODE(deep.stat().st_mode) == 0o600
        assert stat.S_IMODE(deep.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_link_is_never_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(Transient):
        Locks().take(path, note_children=True)
    assert not (tmp_path / "precious").exists()


def test_the_file_says_who_holds_it(path: Path) -> None:
    us = os.getpid()
    lock = Locks().take(path, note_children=True, about="job 7")
    assert lock is not None
    with lock:
        assert holder(path) == Holder("job 7", us, start_of(us), None, None)


def test_a_child_is_noted_only_where_that_was_asked_for(path: Path) -> None:
    locks = Locks()
    noted = locks.take(path, note_children=True)
    other = locks.take(path.with_name("meta"), note_children=False)
    assert noted is not None
    assert other is not None
    with noted, other:
        script = "cut -d' ' -f6,22 /proc/$$/stat"
        said = LocalShell(ENVIRONMENT, locks=locks).run("sh", "-c", script).out.split()
        found, silent = holder(noted.path), holder(other.path)
    assert found is not None
    assert [str(found.session), found.session_started] == said
    assert silent is not None
    assert silent.session is None


def test_a_long_and_strange_about_still_fits(path: Path) -> None:
    for about in ("\u0001" * 5000, "🐝" * 5000, "\udc80", '"\\\n' * 900):
        lock = Locks().take(path, note_children=True, about=about)
        assert lock is not None
        with lock:
            found = holder(path)
            assert found is not None
            assert found.worker_pid == os.getpid()


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"about": 1}'])
def test_garbage_says_nothing_and_ends_nothing(path: Path, garbage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    assert holder(path) is None
    assert end_orphans(path) is False


def test_a_missing_file_says_nothing(path: Path) -> None:
    assert holder(path) is None
    assert end_orphans(path) is False


def test_garbage_in_the_file_is_no_hindrance_to_taking_it(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"x" * 5000)
    with take(path):
        assert holder(path) is not None


def test_we_are_alive_and_a_recycled_pid_is_someone_else() -> None:
    us = os.getpid()
    assert is_alive(us, start_of(us))
    assert is_alive(us, None)
    assert not is_alive(us, "1")


def test_an_orphan_keeps_the_lock_until_it_is_ended(path: Path) -> None:
    orphan = orphan_of_a_killed_worker(path, "sleep 1000 & echo $!; wait")
    assert is_alive(orphan.pid, orphan.started)
    assert Locks().take(path, note_children=True) is None

    assert end_orphans(path) is True
    soon_taken(path).release()
    assert not is_alive(orphan.pid, orphan.started)


def test_a_script_that_uses_every_descriptor_a_shell_can_name_keeps_the_lock(path: Path) -> None:
    uses = "".join(f"exec {number}>/dev/null; " for number in range(3, 10))
    orphan = orphan_of_a_killed_worker(path, f"{uses} sleep 1000 & echo $!; wait")
    assert is_alive(orphan.pid, orphan.started)
    assert Locks().take(path, note_children=True) is None
    assert end_orphans(path) is True
    soon_taken(path).release()


def test_an_orphan_in_a_group_of_its_own_is_ended_too(path: Path) -> None:
    orphan = orphan_of_a_killed_worker(path, f"{IN_A_GROUP_OF_ITS_OWN} & wait")
    assert os.getpgid(orphan.pid) == orphan.pid
    assert end_orphans(path) is True
    soon_taken(path).release()


def test_where_no_orphan_is_left_there_is_nothing_to_end(path: Path) -> None:
    orphan = orphan_of_a_killed_worker(path, "sleep 1000 & echo $!; wait")
    os.kill(orphan.pid, signal.SIGKILL)
    with soon_taken(path):
        pass
    assert end_orphans(path) is False


def test_a_live_workers_session_is_never_ended(path: Path) -> None:
    ended: list[bool] = []

    def tell(stream: Stream, line: str) -> None:
        if stream is Stream.OUT and line == "working":
            ended.append(end_orphans(path))

    locks = Locks()
    lock = locks.take(path, note_children=True)
    assert lock is not None
    with lock:
        shell = LocalShell(ENVIRONMENT, tell=tell, locks=locks)
        assert shell.run("sh", "-c", "echo working; cat; echo done").out == "working\ndone\n"
    assert ended == [False]


def test_a_recycled_leader_is_not_killed(path: Path, stranger: int) -> None:
    shell = LocalShell(ENVIRONMENT)
    dead = int(shell.run("sh", "-c", "echo $$").out)
    us = os.getpid()
    write(path, about="", worker_pid=dead, worker_started="1", session=us, session_started="1")
    assert end_orphans(path) is False
    write(
        path, about="", worker_pid=dead, worker_started="1", session=stranger, session_started="1"
    )
    assert end_orphans(path) is False
    assert LocalShell(ENVIRONMENT).find("sh")


def test_a_strangers_session_is_not_ended_for_bearing_the_number(path: Path, stranger: int) -> None:
    """After a reboot the same numbers may name a daemon that never held the lock."""
    write(path, about="", worker_pid=2**22 + 1, worker_started="1", session=stranger,
          session_started="1")  # fmt: skip
    assert end_orphans(path) is False


@pytest.mark.parametrize("session", [-1, 0, 1])
def test_the_numbers_that_mean_everyone_are_never_killed(path: Path, session: int) -> None:
    write(path, about="", worker_pid=2**22 + 1, worker_started="1", session=session,
          session_started="0")  # fmt: skip
    assert end_orphans(path) is False


def test_our_own_session_is_never_ended(path: Path) -> None:
    ours = os.getsid(0)
    write(path, about="", worker_pid=2**22 + 1, worker_started="1", session=ours,
          session_started="0")  # fmt: skip
    with path.open():
        assert end_orphans(path) is False


def test_a_program_that_works_on_after_a_release_keeps_the_lock(path: Path) -> None:
    locks = Locks()
    lock = locks.take(path, note_children=True)
    assert lock is not None
    shell = LocalShell(ENVIRONMENT, locks=locks)
    stray = int(shell.run("sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").out)
    lock.release()
    assert Locks().take(path, note_children=True) is None

    os.kill(stray, signal.SIGKILL)
    soon_taken(path).release()
