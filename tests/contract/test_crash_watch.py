"""The crash watch on a pretend host: what goes down by itself is noted once, told and swept."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from hive.adapters.systemd import Systemd
from hive.domain.crash import LIMIT
from hive.domain.event import Event
from hive.domain.job import JobState
from hive.domain.message import OPERATOR
from hive.domain.names import MANAGER, AgentName
from hive.errors import Transient
from hive.queue.crashes import CrashWatch
from hive.service import agents, jobs, lifecycle, sweeps
from hive.service.lifecycle import Asked
from hive.steps.running import Running
from hive.store import agents as rows
from hive.store import crashes, events, messages
from hive.store.tables import JobRow
from tests.databases import migrated
from tests.pretend import ALICE, BOB, Moulds, Pretend

ME = Asked("ann")
HM1ND = AgentName(MANAGER)


@pytest.fixture
def pretend(moulds: Moulds) -> Iterator[Pretend]:
    """alice runs."""
    with moulds.a_host() as pretend:
        pretend.before(Running)
        migrated(pretend.host.database)
        spawned(pretend, ALICE)
        yield pretend


def spawned(pretend: Pretend, name: AgentName) -> None:
    job = agents.spawn(pretend.host, name, requested_by="ann").job
    assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED


def watching(pretend: Pretend) -> CrashWatch:
    """It has seen what runs."""
    watch = CrashWatch(pretend.host)
    assert look(pretend, watch) == 0
    return watch


def look(pretend: Pretend, watch: CrashWatch) -> int:
    return watch.run_once(pretend.host.clock.now()).crashed


def main_pid(pretend: Pretend) -> int:
    pid = pretend.world().systemd.unit(ALICE.container).main_pid
    assert pid
    return pid


def end(pretend: Pretend) -> None:
    """Gone, and reaped by whoever is its parent."""
    pid = main_pid(pretend)
    os.kill(pid, signal.SIGKILL)
    assert pretend.world().systemd.unit(ALICE.container).state == "failed"


def told(pretend: Pretend) -> list[Event]:
    with pretend.host.database.read() as session:
        return events.behind(session, kind="agent.crashed")


def sweeps_asked(pretend: Pretend) -> int:
    return len(jobs.listed(pretend.host, kind="reconcile"))


def test_what_goes_down_is_noted_once_with_how_it_ended(pretend: Pretend) -> None:
    watch = watching(pretend)
    end(pretend)
    assert look(pretend, watch) == 1
    (event,) = told(pretend)
    assert event.agent == ALICE
    assert (event.data["result"], event.data["exit"]) == ("signal", "9")
    assert sweeps_asked(pretend) == 1
    assert look(pretend, watch) == 0
    assert len(told(pretend)) == 1


def test_the_manager_is_told_with_the_last_words_of_its_journal(pretend: Pretend) -> None:
    spawned(pretend, HM1ND)
    watch = watching(pretend)
    end(pretend)
    look(pretend, watch)
    with pretend.host.database.read() as session:
        found = messages.listed(session, pretend.host.node, MANAGER, limit=100)
    (one,) = (message for message in found if message.topic == "container_crash")
    assert one.data == {"agent": "alice", "result": "signal", "exit": "9"}
    assert one.body.startswith("alice went down: signal, exit 9\n")


def test_two_that_watch_note_it_once(pretend: Pretend) -> None:
    one, other = watching(pretend), watching(pretend)
    end(pretend)
    assert look(pretend, one) + look(pretend, other) == 1
    assert len(told(pretend)) == 1


def test_a_process_that_is_gone_is_seen_before_the_next_look_at_all_is_due(
    pretend: Pretend,
) -> None:
    watch = watching(pretend)
    seen = pretend.host.clock.monotonic()
    end(pretend)
    assert look(pretend, watch) == 1
    assert pretend.host.clock.monotonic() - seen < timedelta(minutes=5).total_seconds()


def test_while_nothing_is_gone_and_no_look_is_due_no_program_is_started(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(pretend)

    def units(*_: object) -> object:
        raise AssertionError("it looked")

    monkeypatch.setattr(Systemd, "units", units)
    assert look(pretend, watch) == 0


@pytest.mark.parametrize("verb", [lifecycle.stop, lifecycle.restart, lifecycle.destroy])
def test_what_a_job_stops_has_not_crashed(pretend: Pretend, verb: object) -> None:
    watch = watching(pretend)
    job = verb(pretend.host, ALICE, ME).job  # type: ignore[operator]  # each is such a verb
    assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED
    assert look(pretend, watch) == 0
    assert told(pretend) == []


def test_what_crashes_after_a_job_of_it_has_ended_has_crashed(pretend: Pretend) -> None:
    watch = watching(pretend)
    job = lifecycle.restart(pretend.host, ALICE, ME).job
    jobs.run(pretend.host, job.id)
    look(pretend, watch)
    watch = watching(pretend)
    end(pretend)
    assert look(pretend, watch) == 1


def test_what_an_operator_stops_by_hand_beside_hive_counts_as_going_down(pretend: Pretend) -> None:
    watch = watching(pretend)
    pretend.world().systemd.stop(ALICE.container)
    assert look(pretend, watch) == 1
    (event,) = told(pretend)
    assert event.data["result"] == "success"


def test_what_crashed_while_nobody_watched_is_noticed_at_the_first_look(pretend: Pretend) -> None:
    end(pretend)
    watch = CrashWatch(pretend.host)
    assert look(pretend, watch) == 1
    assert look(pretend, CrashWatch(pretend.host)) == 0


def test_after_a_reboot_nothing_has_crashed(pretend: Pretend) -> None:
    pretend.world().systemd.stop(ALICE.container)
    assert look(pretend, CrashWatch(pretend.host)) == 0
    assert told(pretend) == []


def test_while_the_host_goes_down_nothing_has_crashed(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(pretend)
    pretend.world().systemd.stop(ALICE.container)
    monkeypatch.setattr(Systemd, "is_going_down", lambda _: True)
    assert look(pretend, watch) == 0


def test_what_is_given_up_is_not_watched(pretend: Pretend) -> None:
    watch = watching(pretend)
    with pretend.host.database.write() as session:
        rows.give_up(session, pretend.host.node, ALICE, now=pretend.host.clock.now())
    end(pretend)
    assert look(pretend, watch) == 0


def test_a_sweep_that_has_begun_before_the_crash_is_followed_by_another(pretend: Pretend) -> None:
    watch = watching(pretend)
    begun = sweeps.sweep(pretend.host, ME).job  # it is live, and may have looked already
    end(pretend)
    assert look(pretend, watch) == 1
    assert sweeps_asked(pretend) == 1
    jobs.run(pretend.host, begun.id)
    assert look(pretend, watch) == 0
    assert sweeps_asked(pretend) == 2
    assert look(pretend, watch) == 0
    assert sweeps_asked(pretend) == 2


def test_what_crashes_for_ever_beside_healthy_ones_costs_so_much_and_no_more(
    pretend: Pretend,
) -> None:
    """alice dies as often as she is started, and maintenance goes on for long after that."""
    spawned(pretend, HM1ND)
    spawned(pretend, BOB)
    healthy = [pretend.world().systemd.unit(name.container).main_pid for name in (BOB, HM1ND)]
    watch = watching(pretend)
    for _ in range(3 * LIMIT):
        if pretend.world().systemd.unit(ALICE.container).is_active:
            end(pretend)
        for _ in range(2):  # the second one sees her after her start
            watch._looked = float("-inf")
            look(pretend, watch)
            swept(pretend)
    assert agents.show(pretend.host, ALICE).failed_at
    assert len(told(pretend)) == LIMIT
    asked = [view.job for view in jobs.listed(pretend.host, kind="start", limit=1000)]
    assert [job.agent for job in asked] == [ALICE] * (LIMIT - 1)
    assert sweeps_asked(pretend) <= 2 * 3 * LIMIT
    found = [pretend.world().systemd.unit(name.container).main_pid for name in (BOB, HM1ND)]
    assert found == healthy, "nobody else was touched"
    with pretend.host.database.read() as session:
        to_manager = messages.listed(session, pretend.host.node, MANAGER, limit=1000)
        to_operator = messages.listed(session, None, OPERATOR, limit=1000)
        given_up = events.behind(session, kind="agent.failed")
    topics = Counter(one.topic for one in to_manager)
    assert (topics["container_crash"], topics["agent.failed"]) == (LIMIT, 1)
    assert [one.topic for one in to_operator] == ["agent.failed"]
    assert len(given_up) == 1


def swept(pretend: Pretend) -> None:
    """A sweep, and what it has enqueued; waits are over at once."""
    job = sweeps.sweep(pretend.host, ME).job
    jobs.run(pretend.host, job.id, until=lambda: bool(jobs.children(pretend.host, job.id)))
    with pretend.host.database.write() as session:
        session.execute(update(JobRow).values(run_at=None))
    jobs.run(pretend.host, job.id)


def test_while_a_proposal_of_it_waits_what_crashes_has_crashed(pretend: Pretend) -> None:
    rev = pretend.propose(agent_nix='{ ... }: { environment.variables.A = "1"; }')
    job = lifecycle.propose(pretend.host, ALICE, rev, ME).job
    assert jobs.run(pretend.host, job.id).state is JobState.WAITING
    with pretend.host.database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(attempt=2))
    watch = watching(pretend)
    end(pretend)
    assert look(pretend, watch) == 1


def test_a_look_that_fails_takes_no_restart_for_a_crash(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(pretend)
    job = lifecycle.restart(pretend.host, ALICE, ME).job
    assert jobs.run(pretend.host, job.id).state is JobState.SUCCEEDED

    def units(*_: object) -> object:
        raise Transient("no answer", code="timed-out")

    with monkeypatch.context() as patch, pytest.raises(Transient):
        patch.setattr(Systemd, "units", units)
        look(pretend, watch)
    watch._looked = float("-inf")
    assert look(pretend, watch) == 0
    assert told(pretend) == []


def test_a_start_that_fails_is_noted_once_and_not_at_each_attempt(pretend: Pretend) -> None:
    pretend.host = replace(pretend.host, failure_limit=2)
    done = lifecycle.stop(pretend.host, ALICE, ME).job
    jobs.run(pretend.host, done.id)
    root = pretend.host.layout.root(ALICE.container)
    shutil.rmtree(root)
    root.write_text("not a folder")
    watch = CrashWatch(pretend.host)
    look(pretend, watch)
    job = lifecycle.start(pretend.host, ALICE, ME).job
    jobs.run(pretend.host, job.id, until=lambda: jobs.show(pretend.host, job.id).job.failures > 0)
    for _ in range(3):
        watch._looked = float("-inf")
        assert look(pretend, watch) == 0, "it is tried again by itself"


def test_crashes_are_forgotten_after_a_while(pretend: Pretend) -> None:
    watch = watching(pretend)
    end(pretend)
    look(pretend, watch)
    now = pretend.host.clock.now()
    with pretend.host.database.write() as session:
        assert crashes.prune(session, before=now - timedelta(days=1), limit=10) == 0
        assert crashes.prune(session, before=now + timedelta(days=1), limit=10) == 1
