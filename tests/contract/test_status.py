"""The fleet at one moment: what one look tells, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import event as listen

from cli.top import load
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import Tell
from hive.adapters.systemd import PROPERTIES, Systemd
from hive.adapters.world import World
from hive.client import answers
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.event import NewEvent
from hive.domain.job import JobState, StepRecord, StepState
from hive.domain.names import AgentName, NodeName
from hive.domain.ports import port_of
from hive.queue.host import Host
from hive.service.status import AgentStatus, Status, status
from hive.store import agents, events, moves, steps, workers
from hive.store.session import Database
from hive.testing import FakeShell
from tests.contract.store_samples import NOW, a_job, a_running_job, an_agent
from tests.databases import migrated
from tests.pretend import ALICE, BOB, a_pretend_host

THERE = NodeName("there")
UP = "LoadState=loaded\nActiveState=active\nSubState=running\n"


def shown(name: str, more: str) -> str:
    return f"Id=container@h-{name}.service\n{more}\n"


class Desk:
    """A host on which nothing but systemctl is asked, and what that says."""

    def __init__(self, host: Host) -> None:
        self.shell = FakeShell().on("nixos-container list")
        self.real = host
        self.host = replace(host, world=self._world)

    def _world(self, tell: Tell, locks: Locks, halt: Halt) -> World:
        world = self.real.world(tell, locks, halt)
        containers = replace(world.containers, shell=self.shell)
        return replace(world, containers=containers, systemd=Systemd(self.shell))

    def has(self, *names: AgentName, **of_all: Any) -> None:  # noqa: ANN401 - fields of an agent
        with self.host.database.write() as session:
            for name in names:
                row = Agent(self.host.node, name, port_of(name), Desired.RUNNING, AgentSettings())
                agents.put(session, replace(row, **of_all), now=NOW)

    def says(self, *names: str, **units: str) -> None:
        asked = " ".join(f"container@h-{name}.service" for name in names)
        out = "\n".join(shown(name, more) for name, more in units.items())
        self.shell.on(f"systemctl show -p {','.join(PROPERTIES)} {asked}", out=out)

    def status(self) -> Status:
        return status(self.host)

    def alice(self) -> AgentStatus:
        return next(one for one in self.status().agents if one.agent.name == ALICE)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with a_pretend_host(tmp_path) as pretend:
        migrated(pretend.host.database)
        yield Desk(pretend.host)


def test_a_container_that_runs_says_what_it_uses(desk: Desk) -> None:
    desk.has(ALICE)
    desk.says("alice", alice=f"{UP}MemoryCurrent=1048576\nCPUUsageNSec=2500000000")
    one = desk.alice()
    assert (one.state, one.memory, one.cpu) == ("active", 1 << 20, timedelta(seconds=2.5))
    assert one.attention == ()
    said = one.as_json()
    assert (said["memory"], said["cpu_seconds"], said["attention"]) == (1 << 20, 2.5, [])


@pytest.mark.parametrize("uncounted", ["[not set]", "18446744073709551615", "", "infinity"])
def test_what_nobody_counts_is_unknown_and_not_nothing(desk: Desk, uncounted: str) -> None:
    desk.has(ALICE)
    desk.says("alice", alice=f"{UP}MemoryCurrent={uncounted}\nCPUUsageNSec={uncounted}")
    one = desk.alice()
    assert (one.memory, one.cpu) == (None, None)


def test_a_percentage_takes_two_looks_at_one_run_of_a_container(desk: Desk) -> None:
    desk.has(ALICE)

    def look(cpu: int) -> answers.Status:
        desk.says("alice", alice=f"{UP}CPUUsageNSec={cpu}")
        return cast(answers.Status, desk.status().as_json())

    first, second, restarted = look(10**9), look(2 * 10**9), look(5)
    assert load(first, second, seconds=2) == {(desk.host.node, ALICE): 50.0}
    assert load(second, restarted, seconds=2) == {}


def test_the_job_in_progress_and_its_step_are_told(desk: Desk) -> None:
    desk.has(ALICE)
    desk.says("alice")
    with desk.host.database.write() as session:
        job = a_running_job(session)
        a_job(session, kind="restart")
        for at, name in enumerate(("Held", "Built")):
            state = (StepState.HELD, StepState.APPLYING)[at]
            record = StepRecord(at, name, state, "", 0.0)
            steps.record(session, job.id, job.attempt, record, started_at=NOW)
    found = desk.status()
    one = found.agents[0]
    assert one.at_work is not None
    assert (one.at_work.job.id, one.at_work.step) == (job.id, "Built")
    assert one.attention == ()
    assert found.jobs == {JobState.RUNNING: 1, JobState.WAITING: 0, JobState.QUEUED: 1}
    assert found.as_json()["jobs"] == {"running": 1, "waiting": 0, "queued": 1}
    assert one.event is not None
    assert one.event.kind == "job.submit"


def test_who_needs_somebody_stands_out(desk: Desk) -> None:
    desk.has(ALICE, failed_at=NOW)
    desk.has(BOB)
    desk.says("alice", "bob", alice="ActiveState=failed")
    with desk.host.database.write() as session:
        moves.park(session, a_running_job(session, agent=BOB, lock="bobs"), shown={}, now=NOW)
    said = {one.agent.name: one.attention for one in desk.status().agents}
    assert said == {
        ALICE: ("given up at 2031-04-05 06:07", "its container failed"),
        BOB: ("waits for approval",),
    }


def test_an_agent_that_should_run_and_does_not_is_down_but_a_stopped_one_is_not(
    desk: Desk,
) -> None:
    desk.has(ALICE)
    desk.has(BOB, desired=Desired.STOPPED)
    desk.has(AgentName("gone"), desired=Desired.DESTROYED)
    desk.says("alice", "bob", "gone")
    said = {one.agent.name: one.attention for one in desk.status().agents}
    assert said == {ALICE: ("is down",), BOB: ()}


def test_of_an_agent_elsewhere_only_the_database_tells(desk: Desk) -> None:
    desk.has(ALICE, node=THERE)
    one = desk.alice()
    assert (one.state, one.memory, one.attention) == ("elsewhere", None, ("its node is silent",))
    assert desk.shell.ran == []


def test_nodes_say_whether_they_are_paused(desk: Desk) -> None:
    with desk.host.database.write() as session:
        workers.pause(session, THERE, by="ann", now=NOW)
    (node,) = desk.status().nodes
    assert (node.node.paused_by, node.is_silent) == ("ann", True)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(*arguments: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
        asked.append(arguments[2])

    listen.listen(database.engine, "before_cursor_execute", note)
    yield asked
    listen.remove(database.engine, "before_cursor_execute", note)


def test_a_look_costs_the_same_for_one_agent_and_for_many(desk: Desk) -> None:
    costs = []
    for count in (1, 40):
        names = [f"a{number:02}" for number in range(count)]
        desk.has(*map(AgentName, names))
        desk.says(*names)
        with desk.host.database.write() as session:
            for name in names:
                a_running_job(session, agent=AgentName(name), lock=f"of {count} {name}")
        desk.shell.asked.clear()
        with counted(desk.host.database) as asked:
            assert len(desk.status().agents) == count
        costs.append((len(desk.shell.ran), len(asked)))
    assert costs[0] == costs[1]
    assert costs[0][0] == 1


def test_the_last_event_of_each_agent_is_found_at_once(database: Database) -> None:
    with database.write() as session:
        for agent in (ALICE, BOB):
            agents.put(session, an_agent(name=agent, port=port_of(agent)), now=NOW)
            agents.put(session, an_agent(name=agent, port=port_of(agent), node=THERE), now=NOW)
        here, nobody = NodeName("here"), AgentName("nobody")
        for agent, node, kind in (
            (ALICE, here, "a"), (ALICE, here, "b"), (ALICE, THERE, "c"), (nobody, here, "d"),
        ):  # fmt: skip
            events.tell(session, NewEvent(NOW, kind, node, agent=agent))
        events.tell(session, NewEvent(NOW, "e", here))
    with database.read() as session:
        found = {(one.node, one.agent): one.kind for one in events.last_of_agents(session)}
    assert found == {(here, ALICE): "b", (THERE, ALICE): "c"}
