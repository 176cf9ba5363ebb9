"""A sweep of many agents that are in order, and the memory it takes; a crash; a reboot.

On a pretend host in one run. The many agents stand on the folders, rows and records of real ones,
and share the processes and the closure of one: there are 900 ports, and each container is two
processes. Those that are started again after the reboot are real ones of the sim's.
`python -m benchmarks.sweep [--json] [--agents N] [--rebooted N]`
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks.lifecycle import ME, fill, seed, world_of
from benchmarks.rows import Row, show
from benchmarks.servers import kept_folder
from benchmarks.spawn import ground, names_of, spawned, timed
from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import Agent, Desired
from hive.domain.job import JobId, JobState
from hive.domain.limits import Limits
from hive.domain.meta import FLAKE, LOCK, parse
from hive.domain.names import MANAGER, AgentName
from hive.domain.target import closure_keys
from hive.queue.crashes import CrashWatch
from hive.queue.drive import is_served
from hive.queue.host import Host
from hive.service import jobs, sweeps
from hive.steps.home import HomeReady
from hive.store import agents as rows
from hive.store import events, logs
from hive.store.jobs import live as jobs_of
from workers.maintenance import TURN, Chore, Maintenance

CLOCK: Final = SystemClock()
OFTEN: Final = timedelta(milliseconds=5)
PATIENCE: Final = timedelta(minutes=20)
HANDS: Final = 6
"""Jobs at once: two more than may start, so that no start waits for a look."""
BOOT: Final = 5.0
"""Seconds that a container of a small NixOS takes to come up."""
FIRST_PORT: Final = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--rebooted", type=int, default=200)
    asked = parser.parse_args()
    show(list(measured(asked.agents, asked.rebooted)), as_json=asked.json)


def measured(many: int, rebooted: int) -> Iterator[Row]:
    with ground() as (host, _):
        yield from _in_order(host, many)
    with ground() as (host, _):
        yield from _crashed(host)
    with ground() as (host, env):
        yield from _rebooted(host, env, rebooted)


def _in_order(host: Host, many: int) -> Iterator[Row]:
    names = [AgentName(f"b{number}") for number in range(many - 1)]
    _crowd(host, [AgentName(MANAGER), *names])
    before = _resident()
    job = sweeps.sweep(host, ME).job
    took = timed(lambda: jobs.run(host, job.id))
    ended = jobs.show(host, job.id).job
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert ended.result
    assert (ended.result["agents"], ended.result["changed"]) == (many, 0), ended.result["differ"][
        :3
    ]
    yield Row(f"sweep of {many} agents in order", "hive", round(took, 3), "s")
    yield Row("its programs", "hive", _programs(host, job.id), "")
    yield Row("memory at its peak, above what was before", "hive", _resident() - before, "MB")


def _crowd(host: Host, names: list[AgentName]) -> None:
    """Each has what a deployed agent has; its container is that of the first."""
    one = names_of(1)[0]
    spawned(host, one)
    world = world_of(host)
    seed(world, names[0])
    for name in names[1:]:
        shutil.copytree(host.layout.applied(names[0]), host.layout.applied(name))
    fill(world, names)
    for made in (host.layout.gcroots / one, host.layout.scratch):
        shutil.rmtree(made)
    meta = host.layout.meta
    main = world.git.ref(meta, "refs/heads/main")
    assert main
    text, lock = world.git.files(meta, main, FLAKE, LOCK)
    keys = closure_keys(parse(text or "").blocks, lock or "")
    with host.database.write() as session:
        now = host.clock.now()
        rows.forget(session, host.node, one)
        for number, name in enumerate(names):
            agent = Agent(host.node, name, FIRST_PORT + number, Desired.RUNNING, host.defaults)
            rows.put(session, agent, now=now)
    for name in names:
        _stand_in(host, world, one, name, keys[name])


def _stand_in(host: Host, world: World, one: AgentName, name: AgentName, key: str) -> None:
    layout, container = host.layout, name.container
    HomeReady(name).apply(world)
    world.containers.define(container, "", conf.owned(name, layout, privileged=False))
    world.files.write(layout.drop_in(container), Limits.of(host.defaults).drop_in())
    system = layout.profile(one.container).resolve()
    for link in (layout.gcroot(name, key), layout.profile(container)):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(system)
    units = host.layout.state / "sim" / "units"
    shutil.copytree(units / one.container, units / container)
    kept = json.loads((units / container / "unit.json").read_text())
    (units / container / "unit.json").write_text(json.dumps({**kept, "loaded": None}))


def _crashed(host: Host) -> Iterator[Row]:
    """From the end of a container's main process to the event, by a loop as in maintenance."""
    name = names_of(1)[0]
    spawned(host, name)
    watch, over = CrashWatch(host), threading.Event()
    loop = Maintenance(host, [Chore("crashes", watch.run_once, TURN)])
    thread = threading.Thread(target=loop.run, args=(over,))
    thread.start()
    try:
        _until(lambda: bool(watch._runs))
        pid = world_of(host).systemd.unit(name.container).main_pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        took = timed(lambda: _until(lambda: _has_crashed(host)))
        yield Row("crash noticed", "hive", round(took, 3), "s")
    finally:
        over.set()
        thread.join()


def _rebooted(host: Host, env: Mapping[str, str], many: int) -> Iterator[Row]:
    names = [AgentName(MANAGER), *names_of(many - 1)]  # or the sweep would build a manager
    for name in names:
        spawned(host, name)
    starts = world_of(host).starts
    yield from _back(host, env, names, starts, 0.0)
    yield from _back(host, env, names, starts, BOOT)


def _back(
    host: Host, env: Mapping[str, str], names: list[AgentName], starts: int, boot: float
) -> Iterator[Row]:
    """From a reboot to the last agent, where each system takes so many seconds to come up."""
    (host.layout.state / "sim" / "boot-seconds").write_text(str(boot))
    many = f"{len(names)} agents that boot in {boot:.0f} s"
    _down(host, names)
    alone = timed(lambda: _started(host, names, starts))
    yield Row(f"{many}: starts alone, {starts} at once", "by hand", round(alone, 2), "s")
    _down(host, names)
    for name in names:
        shutil.rmtree(host.layout.drop_in(name.container).parent)
    shutil.rmtree(host.layout.run)
    with _up(host, env, HANDS):
        took = timed(lambda: _swept_up(host, names))
    yield Row(f"{many}: after a reboot", "hive", round(took, 2), "s")
    yield Row("the same beside the starts alone", "hive", round(took / alone, 2), "x")


@contextmanager
def _up(host: Host, env: Mapping[str, str], concurrency: int) -> Iterator[None]:
    """`hive up`, ready; it ends with the block, and with us."""
    with kept_folder("up", server=True) as (_, keep):
        words = (f"{key}={value}" for key, value in env.items())
        hive = Path(sys.executable).with_name("hive")
        keep("/usr/bin/env", "-i", *words, hive, "up", "--concurrency", str(concurrency))
        _until(lambda: is_served(host))
        yield


def _swept_up(host: Host, names: list[AgentName]) -> None:
    sweeps.sweep(host, ME)
    _until(lambda: _are_up(host, names))


def _swept(host: Host) -> None:
    jobs.run(host, sweeps.sweep(host, ME).job.id)


def _are_up(host: Host, names: list[AgentName]) -> bool:
    with host.database.read() as session:
        busy = [job for job in jobs_of(session) if job.kind in ("start", "reconcile")]
    if busy:
        return False
    found = world_of(host).systemd.units([name.container for name in names])
    return all(unit.is_active for unit in found.values())


def _down(host: Host, names: list[AgentName]) -> None:
    world = world_of(host)
    for name in names:
        world.systemd.stop(name.container)


def _started(host: Host, names: list[AgentName], at_once: int) -> None:
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(lambda name: world_of(host).systemd.start(name.container), names))


def _until(holds: Callable[[], bool]) -> None:
    if not wait_until(CLOCK, holds, within=PATIENCE, every=OFTEN):
        raise SystemExit(f"not so within {PATIENCE}")


def _has_crashed(host: Host) -> bool:
    with host.database.read() as session:
        return bool(events.behind(session, kind="agent.crashed"))


def _programs(host: Host, job: JobId) -> int:
    with host.database.read() as session:
        return sum(line.stream == "$" for line in logs.of(session, job, limit=1000))


def _resident() -> float:
    """MB, at the most."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    main()
