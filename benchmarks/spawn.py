"""`hive spawn` beside a shell script that does the same by hand, on a pretend host in one run.

Containers are the sim's on both sides; nix is the real one where it is on the PATH (in a private
store), else the sim's on both sides. Git is real.
`python -m benchmarks.spawn [--json] [--runs N]`
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, seconds, show
from hive import bootstrap
from hive.adapters.gitsafe import ENVIRONMENT
from hive.adapters.shell import LocalShell
from hive.domain.job import JobId, JobState
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.queue.host import Host
from hive.service import agents, jobs
from hive.settings import Settings
from hive.sim.places import address_of
from hive.sim.stop import stop_all
from hive.store import logs

HERE = Path(__file__).parent
HIVE = Path(sys.executable).with_name("hive")
MANY = 50
LONG = timedelta(minutes=5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    show(list(measured(asked.runs)), as_json=asked.json)


def measured(runs: int) -> Iterator[Row]:
    names = names_of(max(2 * runs + 3, MANY + 2))
    with ground() as (host, env):
        yield from _beside(host, env, names[: 2 * (runs + 1)])
        yield from _cold(env, names[0], names[-1])
    with ground() as (host, _):
        yield from _programs(host, names)


def _beside(host: Host, env: Mapping[str, str], names: Sequence[AgentName]) -> Iterator[Row]:
    """Hive and the script in turn, an agent each; the first of each warms up and does not count."""
    ours, again, theirs = Spent(), Spent(), Spent()
    for name, another in zip(names[::2], names[1::2], strict=True):
        ours.on(partial(spawned, host, name))
        again.on(partial(spawned, host, name))
        theirs.on(partial(by_hand, env, another))
    yield from compared("spawn", ours, theirs, warm=1)
    yield seconds("noop spawn", "hive", again.seconds[1:])


def _cold(env: Mapping[str, str], known: AgentName, new: AgentName) -> Iterator[Row]:
    shell = LocalShell(dict(env))
    yield seconds("spawn cold", "hive", [timed(lambda: shell.run(HIVE, "spawn", new, within=LONG))])
    noop = [timed(lambda: shell.run(HIVE, "spawn", known, within=LONG)) for _ in range(3)]
    yield seconds("noop spawn cold", "hive", noop)
    bare, loaded = "pass", "import cli.app, cli.live, hive.bootstrap, hive.service.agents"
    for what, code in (("spawn import", loaded), ("spawn bare python", bare)):
        runs = [timed(partial(shell.run, sys.executable, "-c", code)) for _ in range(5)]
        yield seconds(what, "hive", runs)


def _programs(host: Host, names: Sequence[AgentName]) -> Iterator[Row]:
    """How many programs one more spawn starts, beside one agent and beside fifty."""
    for count, name in enumerate(names[: MANY + 1]):
        job = spawned(host, name)
        if count in (1, MANY):
            yield Row(f"programs beside {count}", "hive", started(host, job), "count")


def started(host: Host, job: JobId) -> int:
    with host.database.read() as session:
        return sum(line.stream == "$" for line in logs.of(session, job, limit=100_000))


def spawned(host: Host, name: AgentName) -> JobId:
    job = agents.spawn(host, name, requested_by="benchmark").job
    ended = jobs.run(host, job.id)
    if ended.state is not JobState.SUCCEEDED:
        raise SystemExit(f"spawn of {name} ended {ended.state}: {ended.error}")
    return ended.id


def by_hand(
    env: Mapping[str, str], name: AgentName, script: str = "spawn_by_hand.sh", **more: str
) -> None:
    """One of the scripts, with what it is to be told."""
    settings = Settings.from_env(env)
    root = settings.state_dir / "by-hand"
    root.mkdir(exist_ok=True)
    given = {
        "NAME": name,
        "PORT": str(port_of(name)),
        "ADDRESS": address_of(settings.sim_root),
        "ROOT": str(root),
        "BASE": settings.base_flake or "",
        **ENVIRONMENT,
        **settings.nix_env,
        **more,
    }
    shell = LocalShell(bootstrap.listed(settings, env))
    shell.run("bash", HERE / script, env=given, within=LONG)


@contextmanager
def ground() -> Iterator[tuple[Host, dict[str, str]]]:
    """A pretend host of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hive-bench-", ignore_cleanup_errors=True) as folder:
        env = _environment(Path(folder))
        host = bootstrap.build(Settings.from_env(env), env)
        try:
            yield host, env
        finally:
            host.database.dispose()
            stop_all(Path(folder) / "state" / "sim")
            _writable(Path(folder))


def _environment(folder: Path) -> dict[str, str]:
    """The real nix with a store of its own, where there is one; else the sim's."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HIVE_BACKEND": "sim",
        "HIVE_STATE_DIR": str(folder / "state"),
    }
    if shutil.which("nix") is None:
        return env
    conf = folder / "nix.conf"
    conf.write_text("sandbox = false\nbuild-users-group =\nsubstituters =\n")
    private = {
        "NIX_STORE_DIR": folder / "store",
        "NIX_STATE_DIR": folder / "nix-state",
        "NIX_LOG_DIR": folder / "nix-log",
        "NIX_CONF_DIR": folder,
    }
    pairs = ";".join(f"{key}={value}" for key, value in private.items())
    gcroots = str(folder / "state" / "gcroots")
    return {**env, "HIVE_SIM": "containers", "HIVE_NIX_ENV": pairs, "HIVE_GCROOTS_DIR": gcroots}


def _writable(folder: Path) -> None:
    """A nix store is read-only: it can be removed after this."""
    for found in (folder / "store").rglob("*"):
        if found.is_dir() and not found.is_symlink():
            found.chmod(0o700)


def names_of(count: int) -> list[AgentName]:
    """Agents of which no two share a port."""
    names: dict[int, AgentName] = {}
    for number in itertools.count():
        name = AgentName(f"a{number}")
        names.setdefault(port_of(name), name)
        if len(names) == count:
            return list(names.values())
    raise AssertionError


@dataclass
class Spent:
    """What each run took: seconds, and seconds of processor, in which no other load is."""

    seconds: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)

    def on(self, run: Callable[[], object]) -> None:
        before = _computed()
        self.seconds.append(timed(run))
        self.computed.append(_computed() - before)


def _computed() -> float:
    """Of this process, and of all that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def compared(what: str, hive: Spent, shell: Spent, *, warm: int) -> Iterator[Row]:
    """Side by side, by the clock and by the processor; the first runs do not count."""
    for name, ours, theirs in (
        (what, hive.seconds, shell.seconds),
        (f"{what}, processor", hive.computed, shell.computed),
    ):
        row, beside = seconds(name, "hive", ours[warm:]), seconds(name, "shell", theirs[warm:])
        yield row
        yield beside
        yield Row(f"{name} hive/shell", "hive", round(row.value / beside.value, 2), "ratio")


def timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
