"""The door to programs: one suite for every shell, and one for what only real programs do."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters import shell as door
from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.pipes import PIECE
from hive.adapters.processes import is_alive, start_of
from hive.adapters.shell import LocalShell, Shell, Stream
from hive.errors import (
    CommandFailed,
    CommandTimedOut,
    Fault,
    Halted,
    HiveError,
    ProgramMissing,
    Reason,
    Transient,
)
from hive.testing import FakeShell

ROOT = Path(__file__).parents[2]
PATH = os.environ["PATH"]
SOON = timedelta(seconds=20)
OFTEN = timedelta(milliseconds=5)
Told = list[tuple[Stream, str]]
IN_A_GROUP_OF_ITS_OWN = (
    f"{sys.executable} -c "
    "'import os, signal; os.setpgid(0, 0); print(os.getpid(), flush=True); signal.pause()'"
)


class Log:
    """What was told, in order."""

    def __init__(self) -> None:
        self.told: Told = []

    def __call__(self, stream: Stream, line: str) -> None:
        self.told.append((stream, line))

    def of(self, stream: Stream) -> list[str]:
        return [line for told, line in self.told if told is stream]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(params=["local", "fake"])
def shell(request: pytest.FixtureRequest, log: Log) -> Shell:
    if request.param == "local":
        return LocalShell({"PATH": PATH}, tell=log)
    fake = FakeShell(tell=log).without("no-such-program")
    fake.on("echo hello", out="hello\n").on("printf 'a\\nb'", out="a\nb")
    fake.on("sh -c 'echo oh no >&2; exit 3'", err="oh no\n", exit_code=3)
    fake.on("sh -c 'echo oh out; exit 3'", out="oh out\n", exit_code=3)
    fake.on("sh -c 'seq 3 >&2; echo out; exit 3'", out="out\n", err="1\n2\n3\n", exit_code=3)
    fake.on("sh -c 'seq 50 >&2'", err="".join(f"{n}\n" for n in range(1, 51)))
    return fake.on("printf '\\377\\000x\\n'", out=b"\xff\0x\n")


@pytest.fixture
def local(log: Log) -> LocalShell:
    return LocalShell({"PATH": PATH}, tell=log)


def soon(condition: object) -> None:
    assert callable(condition)
    assert wait_until(SystemClock(), condition, SOON, OFTEN)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# Every shell


def test_what_a_program_says_is_returned(shell: Shell) -> None:
    ran = shell.run("echo", "hello")
    assert (ran.argv, ran.exit_code, ran.raw, ran.out) == (
        ("echo", "hello"), 0, b"hello\n", "hello\n",
    )  # fmt: skip


def test_the_command_is_told_and_then_what_it_says(shell: Shell, log: Log) -> None:
    shell.run("echo", "hello")
    assert log.told == [(Stream.COMMAND, "echo hello"), (Stream.OUT, "hello")]


def test_a_quiet_programs_output_is_not_told(shell: Shell, log: Log) -> None:
    assert shell.run("echo", "hello", quiet=True).out == "hello\n"
    assert log.told == [(Stream.COMMAND, "echo hello")]


def test_a_quiet_programs_complaints_are_told(shell: Shell, log: Log) -> None:
    shell.run("sh", "-c", "echo oh no >&2; exit 3", quiet=True, accept=(3,))
    assert log.of(Stream.ERR) == ["oh no"]


def test_a_last_line_needs_no_newline(shell: Shell, log: Log) -> None:
    assert shell.run("printf", "a\\nb").out == "a\nb"
    assert log.of(Stream.OUT) == ["a", "b"]


def test_an_exit_that_is_not_accepted_is_an_error_with_the_last_words(shell: Shell) -> None:
    with pytest.raises(CommandFailed, match="exited 3: oh no") as failed:
        shell.run("sh", "-c", "echo oh no >&2; exit 3")
    assert (failed.value.exit_code, failed.value.tail) == (3, "oh no")


def test_without_complaints_the_error_has_the_end_of_the_output(shell: Shell) -> None:
    with pytest.raises(CommandFailed, match="exited 3: oh out"):
        shell.run("sh", "-c", "echo oh out; exit 3")


def test_an_accepted_exit_is_an_answer(shell: Shell) -> None:
    ran = shell.run("sh", "-c", "echo oh no >&2; exit 3", accept=(0, 3))
    assert (ran.exit_code, ran.tail) == (3, "oh no")


def test_the_last_twenty_lines_of_the_complaints_are_kept(shell: Shell) -> None:
    ran = shell.run("sh", "-c", "seq 50 >&2")
    assert ran.tail.splitlines() == [str(n) for n in range(31, 51)]


class Reader:
    """Drops 1, says two lines for 2 and something hostile for 3."""

    def read(self, line: str) -> list[str]:
        return {"1": [], "2": ["two", "lines"]}.get(line, ["half \ud800 and \0"])

    def idle(self) -> list[str]:
        return ["idle"]


class Breaking(Reader):
    @override
    def read(self, line: str) -> list[str]:
        if line == "2":
            raise ValueError(line)
        return [f"read {line}"]


def test_a_reader_has_the_say_over_what_is_told_and_kept(shell: Shell, log: Log) -> None:
    with pytest.raises(CommandFailed) as failed:
        shell.run("sh", "-c", "seq 3 >&2; echo out; exit 3", reads=Reader())
    said = ["two", "lines", "half \\ud800 and \\x00"]
    assert log.of(Stream.ERR) == said
    assert failed.value.tail == "\n".join(said)
    assert log.of(Stream.OUT) == ["out"]


def test_a_reader_that_raises_is_asked_no_more(
    shell: Shell, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    shell.run("sh", "-c", "seq 3 >&2; echo out; exit 3", reads=Breaking(), accept=(3,))
    assert log.of(Stream.ERR) == ["read 1", "2", "3"]
    assert caplog.text.count("pipes.reader-raised") == 1


def test_bytes_that_are_no_text_are_kept_raw_and_told_escaped(shell: Shell, log: Log) -> None:
    ran = shell.run("printf", "\\377\\000x\\n")
    assert ran.raw == b"\xff\0x\n"
    assert ran.out == "\\xff\0x\n"
    assert log.of(Stream.OUT) == ["\\xff\\x00x"]


def test_a_missing_program_is_a_fault_that_says_what_to_do(shell: Shell) -> None:
    with pytest.raises(ProgramMissing, match="no-such-program") as missing:
        shell.run("no-such-program", "--version")
    assert "no-such-program" in missing.value.hint
    assert "PATH" in missing.value.hint
    assert shell.find("no-such-program") is None


def test_a_program_is_found(shell: Shell) -> None:
    found = shell.find("echo")
    assert found is not None
    assert found.name == "echo"


def test_a_missing_folder_is_an_error_of_ours(shell: Shell, tmp_path: Path) -> None:
    with pytest.raises(HiveError, match="nowhere"):
        shell.run("echo", "hello", cwd=tmp_path / "nowhere")


# Real programs: what they are given


def test_the_environment_is_what_is_listed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    shell = LocalShell({"PATH": PATH, "A": "1", "B": "1"})
    said = shell.run("env", env={"B": "2"}).out.splitlines()
    assert sorted(said) == ["A=1", "B=2", f"PATH={PATH}"]


def test_programs_are_those_of_the_listed_path(tmp_path: Path) -> None:
    ours = tmp_path / "git"
    ours.write_text("#!/bin/sh\necho ours $PATH\n")
    ours.chmod(0o755)
    shell = LocalShell({"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert shell.find("git") == ours
    assert shell.run("git").out == f"ours {tmp_path}:/usr/bin:/bin\n"


def test_our_own_path_is_not_searched(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing):
        LocalShell({"PATH": str(tmp_path)}).run("git", "--version")
    with pytest.raises(ProgramMissing):
        LocalShell({}).run("git", "--version")


def test_a_relative_folder_on_the_path_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for listed in ("", ".", ":", "~"):
        assert LocalShell({"PATH": listed}).find("git") is None
    assert LocalShell({"PATH": PATH}).find("./git") is None


def test_stdin_is_at_its_end(local: LocalShell) -> None:
    assert local.run("cat").raw == b""


def test_stdin_bytes_arrive(local: LocalShell) -> None:
    given = bytes(range(256)) * 40_000
    assert local.run("cat", stdin=given, quiet=True).raw == given
    assert local.run("cat", stdin=b"").raw == b""


def test_a_program_runs_in_the_folder(local: LocalShell, tmp_path: Path) -> None:
    assert local.run("pwd", "-P", cwd=tmp_path).out == f"{tmp_path.resolve()}\n"


def test_a_program_is_given_none_of_our_descriptors(local: LocalShell, tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        said = local.run("ls", "/proc/self/fd").out.split()
    assert len(said) == 4  # the three streams, and the folder that is listed


def test_a_program_finds_its_signals_as_after_a_boot(local: LocalShell) -> None:
    said = local.run("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status").out.split()
    assert said == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]


def test_a_program_leads_a_session_of_its_own(local: LocalShell) -> None:
    pid, session = local.run("sh", "-c", "cut -d' ' -f1,6 /proc/$$/stat").out.split()
    assert pid == session


def test_words_reach_the_program_as_they_are(local: LocalShell) -> None:
    words = ("a b", "", "*", "$HOME", "--x=%s%d", "é\n")
    said = local.run(sys.executable, "-c", "import sys; print(sys.argv[1:])", *words).out
    assert said == f"{list(words)!r}\n"


# Real programs: how they end


def test_a_program_that_a_signal_ended_has_its_negative_number(local: LocalShell) -> None:
    with pytest.raises(CommandFailed) as failed:
        local.run("sh", "-c", "kill -9 $$")
    assert failed.value.exit_code == -9
    assert local.run("sh", "-c", "kill -15 $$", accept=(-15,)).exit_code == -15


def test_a_signal_without_a_name_is_an_exit_too(local: LocalShell) -> None:
    assert local.run("sh", "-c", "kill -40 $$", accept=(-40,)).exit_code == -40


def test_the_deadline_ends_the_program_and_all_it_started(local: LocalShell, log: Log) -> None:
    script = f"sleep 1000 & echo $!; {IN_A_GROUP_OF_ITS_OWN} & wait"
    with pytest.raises(CommandTimedOut, match="still running"):
        local.run("sh", "-c", script, within=timedelta(seconds=1))
    pids = [int(line) for line in log.of(Stream.OUT)]
    assert len(pids) == 2
    for pid in pids:
        soon(lambda pid=pid: not is_alive(pid, None))


def test_a_program_that_ignores_polite_signals_is_ended_too(local: LocalShell) -> None:
    with pytest.raises(CommandTimedOut):
        local.run("sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done",
                  within=timedelta(milliseconds=200))  # fmt: skip


def test_a_daemon_that_keeps_the_pipes_does_not_keep_us(local: LocalShell) -> None:
    threads = threading.active_count()
    pid = int(local.run("sh", "-c", "sleep 1000 & echo $!").out)
    assert is_alive(pid, None)
    os.kill(pid, signal.SIGKILL)
    soon(lambda: threading.active_count() <= threads)


def test_a_daemon_that_goes_on_talking_does_not_keep_us(local: LocalShell) -> None:
    pid = int(local.run("sh", "-c", "yes >&2 & echo $!", quiet=True).out)
    soon(lambda: not is_alive(pid, None))  # nobody reads it any more


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("script", ["kill -INT $0; sleep 1000 & echo $!; wait", "kill -INT $0"])
def test_an_interrupt_ends_the_program_and_goes_on_up(
    local: LocalShell, log: Log, script: str
) -> None:
    for _ in range(10):  # it lands at another point of the start each time
        with pytest.raises(KeyboardInterrupt):
            local.run("sh", "-c", script, str(os.getpid()))
    for line in log.of(Stream.OUT):
        soon(lambda line=line: not is_alive(int(line), None))
    assert children() == set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_only_asks_does_not_end_the_program(local: LocalShell) -> None:
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    try:
        assert local.run("sh", "-c", "kill -TERM $0; echo done", str(os.getpid())).out == "done\n"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked == [signal.SIGTERM]


WORKER = """
import sys
from hive.adapters.shell import LocalShell
tell = lambda _, line: print(line, flush=True)
LocalShell({"PATH": sys.argv[1]}, tell=tell).run("sh", "-c", "echo $PPID $$; exec sleep 1000")
"""


def test_a_killed_worker_takes_its_program_along() -> None:
    programs: list[tuple[int, str | None]] = []

    def tell(stream: Stream, line: str) -> None:
        words = line.split()
        if stream is Stream.OUT and len(words) == 2 and words[0].isdecimal():
            programs.append((int(words[1]), start_of(int(words[1]))))
            os.kill(int(words[0]), signal.SIGKILL)

    shell = LocalShell({"PATH": PATH, "PYTHONPATH": str(ROOT)}, tell=tell)
    with pytest.raises(CommandFailed) as failed:
        shell.run(sys.executable, "-c", WORKER, PATH)
    assert failed.value.exit_code == -9
    soon(lambda: not is_alive(*programs[0]))


# Real programs: what they say


def test_both_streams_are_told_before_the_program_ends(tmp_path: Path) -> None:
    """The program waits for what only its listener does."""
    told = tmp_path / "told"
    told.mkdir()

    def tell(stream: Stream, line: str) -> None:
        if stream is not Stream.COMMAND:
            (told / line).touch()

    script = "echo a; until [ -e a ]; do :; done; echo b >&2; until [ -e b ]; do :; done"
    LocalShell({"PATH": PATH}, tell=tell).run("sh", "-c", script, cwd=told)


def test_much_on_both_streams_at_once_is_all_read(local: LocalShell, log: Log) -> None:
    script = "head -c 10485760 /dev/zero | tr '\\0' x & head -c 10485760 /dev/zero >&2; wait"
    ran = local.run("sh", "-c", script)
    assert ran.raw == b"x" * 10_485_760
    assert max(len(line) for line in log.of(Stream.OUT)) == PIECE
    assert sum(len(line) for line in log.of(Stream.OUT)) == 10_485_760
    assert sum(line.count("\\x00") for line in log.of(Stream.ERR)) == 10_485_760


def test_a_long_line_is_cut_between_characters(local: LocalShell, log: Log) -> None:
    text = "x" + "🐝" * PIECE
    local.run("cat", stdin=text.encode())
    assert "".join(log.of(Stream.OUT)) == text
    assert all(len(line.encode()) <= PIECE for line in log.of(Stream.OUT))


def test_a_reader_is_asked_for_what_it_held_back_when_the_program_falls_silent(
    local: LocalShell, log: Log
) -> None:
    local.run("sh", "-c", "echo 2 >&2; sleep 1.5", reads=Reader())
    assert log.of(Stream.ERR) == ["two", "lines", "idle"]


def test_a_reader_gets_a_long_line_whole_and_it_is_told_in_pieces(
    local: LocalShell, log: Log
) -> None:
    read: list[int] = []

    class Whole(Reader):
        @override
        def read(self, line: str) -> list[str]:
            read.append(len(line))
            return [line]

    local.run("sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x >&2; echo >&2", reads=Whole())
    assert read == [200_000]
    assert max(map(len, log.of(Stream.ERR))) == PIECE


def test_a_log_that_raises_does_not_stop_the_program(caplog: pytest.LogCaptureFixture) -> None:
    def tell(stream: Stream, line: str) -> None:
        if stream is Stream.OUT:
            raise ValueError(line)

    ran = LocalShell({"PATH": PATH}, tell=tell).run("seq", "100000")
    assert ran.out.endswith("100000\n")
    assert caplog.text.count("shell.tell-raised") == 1


# What is left behind: nothing


def children() -> set[int]:
    """Of this process, also those that have ended and were not waited for; but for its servers of
    forks, which other tests have started.
    """
    found = Path("/proc/self/task").glob("*/children")
    servers = {
        getattr(forkserver._forkserver, "_forkserver_pid", None),
        getattr(resource_tracker._resource_tracker, "_pid", None),
    }
    return {int(pid) for file in found for pid in file.read_text().split()} - servers


def test_runs_leave_no_descriptor_thread_or_zombie(local: LocalShell) -> None:
    local.run("true")
    before, threads = descriptors(), threading.active_count()
    for _ in range(50):
        local.run("true", stdin=b"x")
    assert descriptors() == before
    soon(lambda: threading.active_count() <= threads)
    assert children() == set()


def test_starts_that_fail_leave_nothing_behind_either(local: LocalShell, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    threads, before = threading.active_count(), descriptors()
    for words in ((broken,), ("true", "x" * 10_000_000), ("true", "\0"), ("true", "\udc80")):
        with pytest.raises(Fault) as failed:
            local.run(*words)
        assert failed.value.code == "program-not-started"
    assert descriptors() == before
    soon(lambda: threading.active_count() <= threads)
    assert children() == set()


def test_a_program_that_cannot_be_noted_is_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locks = Locks()

    def note(pid: int) -> None:
        raise Transient(f"no space left to note {pid}")

    monkeypatch.setattr(locks, "note", note)
    with pytest.raises(Transient, match="no space left"):
        LocalShell({"PATH": PATH}, locks=locks).run("touch", tmp_path / "touched")
    assert not (tmp_path / "touched").exists()
    assert children() == set()


def test_an_interrupt_between_fork_and_exec_never_acts_as_the_parent(
    local: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "become_a_child_of", interrupted)
    with pytest.raises(CommandFailed) as failed:
        local.run("true")
    assert failed.value.exit_code == 255


def test_programs_run_side_by_side(log: Log) -> None:
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        shell = LocalShell({"PATH": PATH})
        answers[number] = "".join(shell.run("echo", str(number)).out for _ in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"{number}\n" * 20 for number in range(8)}


class Job:
    """A thread that holds a lock of its own while its program runs."""

    def __init__(self, path: Path, start: threading.Barrier) -> None:
        self.path = path
        self.opened: Counter[str] = Counter()
        self._start = start
        self._halt = Halt()
        self._pids: list[int] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def look(self) -> None:
        soon(lambda: self._pids)
        fds = Path(f"/proc/{self._pids[0]}/fd")
        self.opened.update(str(fd.readlink()) for fd in fds.iterdir())

    def end(self) -> None:
        self._halt.stop(Reason.DRAINED, grace=SOON)
        self._thread.join()

    def _work(self) -> None:
        locks = Locks()
        shell = LocalShell({"PATH": PATH}, self._tell, locks, self._halt)
        lock = locks.take(self.path, note_children=True)
        assert lock is not None
        self._start.wait()
        with lock, suppress(Halted):
            shell.run("sh", "-c", "echo $$; sleep 1000 & wait")

    def _tell(self, stream: Stream, line: str) -> None:
        if stream is Stream.OUT:
            self._pids.append(int(line))


def test_programs_side_by_side_have_no_descriptor_of_each_other(tmp_path: Path) -> None:
    for turn in range(10):
        start = threading.Barrier(4)
        jobs = [Job(tmp_path / f"{turn}-{number}", start) for number in range(4)]
        try:
            for job in jobs:
                job.look()
        finally:
            for job in jobs:
                job.end()
        pipes = sum((job.opened for job in jobs), Counter())
        for job in jobs:
            mine = [one for one in job.opened if one.startswith("pipe:")]
            assert [pipes[one] for one in mine] == [1, 1]
            assert sorted(job.opened - Counter(mine)) == ["/dev/null", str(job.path)]
