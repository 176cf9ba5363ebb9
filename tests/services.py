"""The servers and programs of the tests: started when first asked for, gone when the run is.

This is the one test file that starts programs past the door: the door runs a program to its end,
and a server has none. Each worker of a parallel run has servers of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO
from uuid import uuid4

import psycopg
import pytest
import redis

from hive.adapters.processes import is_alive, look
from hive.adapters.shell import ANY_EXIT, LocalShell

PATIENCE = 60.0
STOPPED = "T"  #: proc(5)
ROOT = Path(__file__).parents[1]
LAB = ROOT / "scripts" / "lab"
#: Looked up before the tests are given a home of their own: what is made once stays in the user's.
LAB_ENVIRONMENT = {
    name: os.environ[name]
    for name in ("PATH", "HOME", "HIVE_LAB_CACHE", "XDG_CACHE_HOME")
    if name in os.environ
}
MAKING = timedelta(minutes=20)
DOCKER_REDIS = "redis://127.0.0.1:56379"
DOCKER_POSTGRES = "postgresql+psycopg://hive:hive@127.0.0.1:55432/hive"

# Reads until whoever holds the other end is gone, however it went (kill -9 too); then ends what it
# started and takes the folder away. The outer half ends at once, so that the keeper is no child of
# ours: a test may say that it left none. What is left leads no session, but has a group of its own.
# What goes by itself while `chmod` walks is no news; what stays, `rm` tells.
KEEPER = """
exec 3<&0
{
folder=$1; shift
[ $# -eq 0 ] || "$@" >"$folder/log" 2>&1 </dev/null 3<&- &
read -r _ <&3
trap "" TERM QUIT
kill -TERM 0; kill -QUIT 0; wait
chmod -R u+w "$folder" 2>/dev/null; rm -rf "$folder"
} &
"""

POSTGRES = """
initdb=$1; data=$2; shift 2
"$initdb" --pgdata "$data" --username hive --auth trust --encoding UTF8 --locale C --no-sync &&
exec "${initdb%/*}/postgres" -D "$data" "$@"
"""

NIX_CONF = """\
sandbox = false
build-users-group =
substituters =
experimental-features = nix-command flakes
"""

Keep = Callable[..., None]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of this worker's own Redis, which keeps nothing on disk."""
    if "HIVE_TEST_DOCKER" in os.environ:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield f"{DOCKER_REDIS}/{int(worker) % 16}"
        return
    program = _program("redis-server")
    with _folder("redis") as (folder, keep):
        url = f"unix://{folder}/redis.sock"
        in_memory = ("--save", "", "--appendonly", "no")
        keep(program, "--port", "0", "--unixsocket", folder / "redis.sock", *in_memory)
        _wait_until(lambda: _redis_answers(url), log=folder / "log")
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    return redis_server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of this worker's own PostgreSQL, reached only through a socket in its folder."""
    if "HIVE_TEST_DOCKER" in os.environ:
        yield DOCKER_POSTGRES
        return
    initdb = _program("initdb", "/usr/lib/postgresql/*/bin")
    with _folder("postgres", owner=_someone_but_root()) as (folder, keep):
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "fsync": "off",
            "full_page_writes": "off",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        keep("/bin/sh", "-c", POSTGRES, "postgres", initdb, folder / "data", *options)
        url = f"postgresql+psycopg://hive@/postgres?host={folder}"
        _wait_until(lambda: _postgres_answers(url), log=folder / "log")
        yield url


@pytest.fixture
def fresh_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database that is this test's own."""
    with a_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def one_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database that the tests of a file share."""
    with a_database(postgres_url) as url:
        yield url


@contextmanager
def a_database(postgres_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    server, mark, options = postgres_url.partition("?")
    _sql(postgres_url, f"CREATE DATABASE {name}")
    yield f"{server.rpartition('/')[0]}/{name}{mark}{options}"
    _sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def real_nix() -> Iterator[dict[str, str]]:
    """The environment of a real nix whose store, caches and configuration are its own."""
    program = _program("nix", "/nix/var/nix/profiles/default/bin", "/run/current-system/sw/bin")
    with _folder("nix") as (folder, keep):
        keep()
        home, conf = folder / "home", folder / "conf"
        home.mkdir()
        conf.mkdir()
        (conf / "nix.conf").write_text(NIX_CONF)
        yield {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "NIX_STORE_DIR": str(folder / "store"),
            "NIX_STATE_DIR": str(folder / "state"),
            "NIX_LOG_DIR": str(folder / "log"),
            "NIX_CONF_DIR": str(conf),
        }


@dataclass(frozen=True, slots=True)
class Server:
    """A server of one test's own, to be ended, held up and started again."""

    url: str
    start: Callable[[], None]
    """Returns when it answers."""
    pid: Callable[[], int | None]

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Gone when this returns."""
        pid = self._there()
        os.kill(pid, number)
        _wait_until(lambda: not is_alive(pid, None))

    def pause(self) -> None:
        """It answers nothing when this returns: a signal is on its way for a moment."""
        pid = self._there()
        os.kill(pid, signal.SIGSTOP)
        _wait_until(lambda: (seen := look(pid)) is None or seen.state == STOPPED)

    def go_on(self) -> None:
        if (pid := self.pid()) is not None:
            os.kill(pid, signal.SIGCONT)

    def _there(self) -> int:
        pid = self.pid()
        assert pid is not None, f"there is nothing at {self.url}"
        return pid


@contextmanager
def a_redis() -> Iterator[Server]:
    """Not started yet. It keeps nothing on disk."""
    program = _program("redis-server")
    with _folder("redis") as (folder, keep):
        socket, pid = folder / "redis.sock", folder / "pid"
        words = ("--port", "0", "--unixsocket", socket, "--pidfile", pid)

        def start() -> None:
            keep(program, *words, "--save", "", "--appendonly", "no")
            _wait_until(lambda: _redis_answers(f"unix://{socket}"), log=folder / "log")

        server = Server(f"unix://{socket}", start, lambda: _pid_in(pid))
        try:
            yield server
        finally:
            server.go_on()


@contextmanager
def a_postgres(**settings: str) -> Iterator[Server]:
    """Not started yet. `settings` are its own, in its own words."""
    initdb = _program("initdb", "/usr/lib/postgresql/*/bin")
    with _folder("postgres", owner=_someone_but_root()) as (folder, keep):
        data, url = folder / "data", f"postgresql+psycopg://hive@/postgres?host={folder}"
        usual = {"listen_addresses": "", "unix_socket_directories": f"{folder}", "fsync": "off"}
        options = [
            word for key, value in (usual | settings).items() for word in ("-c", f"{key}={value}")
        ]

        def start() -> None:
            if data.exists():
                keep(initdb.with_name("postgres"), "-D", data, *options)
            else:
                keep("/bin/sh", "-c", POSTGRES, "postgres", initdb, data, *options)
            _wait_until(lambda: _postgres_answers(url), log=folder / "log")

        server = Server(url, start, lambda: _pid_in(data / "postmaster.pid"))
        try:
            yield server
        finally:
            server.go_on()


@contextmanager
def a_lab() -> Iterator[Path]:
    """A real host, booted, which has our project and our Python: see `scripts/lab`.

    Its folder; there `leader` holds the pid of its first process, as this machine counts.
    """
    suite = ("--suite", os.environ.get("HIVE_TEST_LAB_SUITE", "bookworm"))
    made = LocalShell(LAB_ENVIRONMENT).run(LAB, "make", *suite, within=MAKING, accept=ANY_EXIT)
    if made.exit_code != 0:
        pytest.skip(made.tail.rpartition("\n")[2] or f"{LAB} make: exit {made.exit_code}")
    told = [f"{name}={value}" for name, value in LAB_ENVIRONMENT.items()]
    shown = sorted({ROOT, Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")})
    with _folder("lab") as (folder, keep):
        leader, cannot = folder / "leader", folder / "cannot"
        binds = [f"--bind-ro={path}" for path in shown]
        keep("/usr/bin/env", *told, LAB, "boot", *suite, folder, *binds)
        _wait_until(lambda: leader.exists() or cannot.exists(), log=folder / "log")
        if cannot.exists():
            pytest.skip(f"no lab: {cannot.read_text().strip()}")
        yield folder


def _pid_in(file: Path) -> int | None:
    """Of the server that lives, as its file says."""
    try:
        pid = int(file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if is_alive(pid, None) else None


def _program(name: str, *elsewhere: str) -> Path:
    """Where `name` is; without it a test skips at home and fails in CI."""
    if at := shutil.which(name):
        return Path(at)
    for folder in elsewhere:
        for found in sorted(Path("/").glob(f"{folder.lstrip('/')}/{name}"), reverse=True):
            return found
    reason = f"{name} is not on this machine; as root on Debian, scripts/test installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _someone_but_root() -> pwd.struct_passwd | None:
    """Whom to become, as PostgreSQL refuses root; None where we are someone else already."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


@contextmanager
def _folder(name: str, owner: pwd.struct_passwd | None = None) -> Iterator[tuple[Path, Keep]]:
    """A folder with a short path, and what starts the one server that lives in it, if any."""
    folder = Path(tempfile.mkdtemp(prefix=f"hive-{name}-", dir="/tmp"))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    lives: list[IO[bytes]] = []

    def keep(*argv: str | Path) -> None:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", folder, *argv],
            stdin=subprocess.PIPE,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
            start_new_session=True,
            user=owner and owner.pw_uid,
            group=owner and owner.pw_gid,
            extra_groups=owner and [],
        )
        assert keeper.stdin
        lives.append(keeper.stdin)
        keeper.wait()

    try:
        yield folder, keep
    finally:
        for life in lives:
            life.close()
        _wait_until(lambda: not folder.exists(), log=folder / "log")


def _wait_until(is_ready: Callable[[], bool], *, log: Path | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_ready():
        if time.monotonic() > deadline:
            said = log.read_text()[-2000:] if log and log.exists() else "nothing"
            pytest.fail(f"not so within {PATIENCE:.0f} s; the log says: {said}")
        time.sleep(0.02)


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _postgres_answers(url: str) -> bool:
    try:
        _sql(url, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _sql(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(statement.encode())
