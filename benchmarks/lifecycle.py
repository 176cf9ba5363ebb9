"""`hive apply` beside a shell script that does the same by hand; downtime; the lock of meta; scale.

On a pretend host in one run: containers are the sim's on both sides, git is real, and so is nix
where it is on the PATH. hive's figures are of its service called in this process, but for the one
of the command; the script's have the start of its shell in them.
`python -m benchmarks.lifecycle [--json] [--runs N] [--agents N]`
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, seconds, show
from benchmarks.spawn import (
    HIVE,
    LONG,
    Spent,
    by_hand,
    compared,
    ground,
    names_of,
    spawned,
    started,
    timed,
)
from hive.adapters.git import MAIN
from hive.adapters.halt import Halt
from hive.adapters.http import Http
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell, silent
from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain.job import Job, JobId, JobState
from hive.domain.meta import FLAKE, LOCK, Block, Meta, render
from hive.domain.names import AgentName, Rev
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service import jobs, lifecycle
from hive.service.lifecycle import Asked
from hive.steps import meta as meta_steps
from hive.steps.deploy import Deployed
from hive.steps.meta import CandidatePinned, init_meta
from hive.steps.running import Restarts

ME = Asked("benchmark")
OFTEN = 0.002
KNOCK = timedelta(milliseconds=200)
MANY = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--agents", type=int, default=200)
    asked = parser.parse_args()
    show(list(measured(asked.runs, asked.agents)), as_json=asked.json)


def measured(runs: int, many: int) -> Iterator[Row]:
    with ground() as (host, env):
        yield from _applies(host, env, runs)
        yield from _downtime(host, names_of(1)[0])
    with ground() as (host, _):
        yield from _programs(host)
    with ground() as (host, _):
        yield from _crowded(host, many)


def _applies(host: Host, env: Mapping[str, str], runs: int) -> Iterator[Row]:
    """Two commits in turn, each built before; hive and the script alternate."""
    ours, theirs = names_of(2)
    spawned(host, ours)
    by_hand(env, theirs)
    here = _two(host, host.layout.proposed(ours))
    there = _two(host, host.layout.state / "by-hand" / "proposed" / theirs)
    hive, shell, held = Spent(), Spent(), []
    for run in range(runs + 2):
        with _meta_lock_held() as spans:
            hive.on(partial(_apply, host, ours, here[run % 2]))
        held.append(max(spans))
        words = {"REV": there[run % 2], "ID": str(run + 2)}
        shell.on(partial(by_hand, env, theirs, "apply_by_hand.sh", **words))
    yield from compared("apply", hive, shell, warm=2)
    command = partial(LocalShell(env).run, HIVE, "apply", ours, within=LONG)
    cold = [timed(partial(command, here[run % 2])) for run in range(runs, runs + 3)]
    yield seconds("apply as a command, start and imports too", "hive", cold)
    yield Row("meta lock held, longest", "hive", round(max(held[2:]), 3), "s")


def _downtime(host: Host, name: AgentName) -> Iterator[Row]:
    """How long nobody answers on its port, of those that knock all the time."""
    repo, world = host.layout.proposed(name), world_of(host)
    revs = _committed(host, repo, "three"), _committed(host, repo, "four")

    def by_systemd() -> None:
        world.systemd.stop(name.container)
        world.systemd.start(name.container)

    yield Row("downtime, stop and start", "shell", _silence(host, name, by_systemd), "s")
    for restarts, what in ((Restarts.ALWAYS, "with a restart"), (Restarts.AUTO, "with a reload")):
        rev = revs[0] if restarts is Restarts.ALWAYS else revs[1]
        act = partial(_apply, host, name, rev, restarts)
        yield Row(f"downtime, apply {what}", "hive", _silence(host, name, act), "s")


def _silence(host: Host, name: AgentName, act: Callable[[], object]) -> float:
    """The longest time without an answer while `act` does its work."""
    over, spans, address = threading.Event(), [0.0], world_of(host).address

    def knock() -> None:
        answered = time.monotonic()
        while not over.is_set():
            if Http().knock(address, port_of(name), within=KNOCK) is not None:
                spans.append(time.monotonic() - answered)
                answered = time.monotonic()
            over.wait(OFTEN)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        act()
    finally:
        over.set()
        thread.join()
    return round(max(spans), 3)


def _programs(host: Host) -> Iterator[Row]:
    """How many programs each verb starts, with one agent and with many."""
    first, *others = names_of(MANY)
    spawned(host, first)
    alone = dict(_counted(host, first))
    for other in others:
        spawned(host, other)
    for verb, count in _counted(host, first):
        yield Row(f"programs of {verb} beside 0", "hive", alone[verb], "count")
        yield Row(f"programs of {verb} beside {MANY - 1}", "hive", count, "count")


def _counted(host: Host, name: AgentName) -> Iterator[tuple[str, int]]:
    rev = _committed(host, host.layout.proposed(name), f"{time.monotonic_ns()}")
    yield "apply", started(host, _apply(host, name, rev))
    for verb, submit in (
        ("rebuild", lifecycle.rebuild),
        ("stop", lifecycle.stop),
        ("start", lifecycle.start),
        ("restart", lifecycle.restart),
        ("rollback", lifecycle.rollback),
    ):
        yield verb, started(host, _done(host, submit(host, name, ME)))


def _crowded(host: Host, many: int) -> Iterator[Row]:
    """One more agent in a meta flake that has so many."""
    names = names_of(many)
    world = world_of(host)
    for name in names:
        seed(world, name)
    init_meta(world, names[0])
    fill(world, names[:-1])
    target = AppliedMain(names[-1])
    fresh = world_of(host)
    steps = (CandidatePinned(target), Deployed(target, JobId(1)))
    yield Row(
        f"render + lock + record, {many} agents",
        "hive",
        round(sum(timed(partial(step.apply, fresh)) for step in steps), 2),
        "s",
    )


def fill(world: World, names: list[AgentName]) -> None:
    """meta's main names them all, without a candidate each."""
    meta, base = Meta(), world.nix.pin(world.base or "")
    for name in names:
        rev = world.git.ref(world.layout.applied(name), MAIN)
        assert rev is not None
        url = world.git.url(world.layout.applied(name))
        meta = meta.with_block(Block.of(name, url=url, rev=rev, base=base.label), base)
    folder = world.scratch(names[0], "fill")
    world.files.write(folder / FLAKE, render(meta))
    world.nix.lock(folder, world.scratch(names[0], "store"))
    files = {FLAKE: render(meta), LOCK: world.files.read(folder / LOCK) or ""}
    main = world.git.ref(world.layout.meta, MAIN)
    now = datetime.now(UTC)
    world.git.commit(world.layout.meta, MAIN, files, parent=main, subject="filled", at=now)
    world.git.reset_tree(world.layout.meta)


def seed(world: World, name: AgentName) -> None:
    repo = world.layout.applied(name)
    world.git.init(repo)
    flake = "{ outputs = _: { nixosModules.default = { }; }; }\n"
    files = {FLAKE: flake, "agent.nix": f"# {name}\n"}
    made = world.git.commit(repo, MAIN, files, parent=None, subject="seed", at=datetime.now(UTC))
    world.git.move(repo, RefMove("refs/tags/deployed/0", made, None))
    world.git.reset_tree(repo)


def _apply(host: Host, name: AgentName, rev: Rev, restarts: Restarts = Restarts.AUTO) -> JobId:
    asked = lifecycle.propose(host, name, rev, ME, approved=True, restarts=restarts)
    return _done(host, asked)


def _done(host: Host, submitted: Submitted) -> JobId:
    job: Job = jobs.run(host, submitted.job.id)
    if job.state is not JobState.SUCCEEDED:
        raise SystemExit(f"{job.kind} of {job.agent} ended {job.state}: {job.error}")
    return job.id


def _two(host: Host, repo: Path) -> tuple[Rev, Rev]:
    return _committed(host, repo, "one"), _committed(host, repo, "two")


def _committed(host: Host, repo: Path, word: str) -> Rev:
    world = world_of(host)
    main = world.git.ref(repo, MAIN)
    assert main is not None
    flake = world.git.file(repo, main, FLAKE) or ""
    said = f'{{ ... }}:\n{{\n  environment.variables.WORD = "{word}";\n}}\n'
    files = {FLAKE: flake, "agent.nix": said}
    now = datetime.now(UTC)
    return world.git.commit(repo, MAIN, files, parent=main, subject=word, at=now)


def world_of(host: Host) -> World:
    return host.world(silent, Locks(), Halt())


@contextmanager
def _meta_lock_held() -> Iterator[list[float]]:
    """How long each time, of all that is done inside."""
    spans, held = [0.0], meta_steps.meta_alone

    @contextmanager
    def watched(world: World) -> Iterator[None]:
        with held(world):
            begun = time.perf_counter()
            try:
                yield
            finally:
                spans.append(time.perf_counter() - begun)

    meta_steps.meta_alone = watched
    try:
        yield spans
    finally:
        meta_steps.meta_alone = held


if __name__ == "__main__":
    main()
